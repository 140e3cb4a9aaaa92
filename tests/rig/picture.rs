//! The picture of the stages as an SVG, drawn from what the program printed in a real kernel.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::initramfs::Initramfs;
use crate::kernels;
use crate::paths;
use crate::program::Build;

/// The columns of the text before the first bar, and those of a page with the bar before it.
const NAME_COLUMNS: usize = 10;
const PAGE_COLUMNS: usize = 4;

/// The number of pages.
const PAGES: usize = 7;

/// The sizes of the drawing, in pixels.
const LEFT: usize = 112;
const TOP: usize = 16;
const WIDTH: usize = 50;
const HEIGHT: usize = 28;
const ROW: usize = 44;

/// The file that README.md shows.
pub fn path() -> PathBuf {
    paths::workspace().join("tests/picture.svg")
}

/// Runs the stages in the default kernel, and draws them.
pub fn draw() -> Result<String> {
    let initramfs = Initramfs::with_program(Build::Full)?.write("picture")?;
    let mut machine = kernels::find(kernels::DEFAULT)?.machine(&initramfs)?;
    machine.name = "picture".to_owned();
    machine.args = vec!["-y".to_owned()];
    let boot = machine.run(Duration::from_secs(120))?;
    boot.expect_power_off()?;
    svg(&boot.text())
}

/// The drawing of the last four lines of the picture in the output of the stages.
pub fn svg(output: &str) -> Result<String> {
    let lines = output.lines().filter(|line| {
        let stage = line.strip_prefix(' ').and_then(|rest| rest.chars().next());
        stage.is_some_and(|stage| stage.is_ascii_digit())
    });
    let lines: Vec<&str> = lines.collect();
    let first = lines.len().checked_sub(4).context("no picture")?;
    let height = 2 * TOP + 3 * ROW + HEIGHT;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 680 {height}\" role=\"img\" \
         font-family=\"sans-serif\" font-size=\"15\">\n\
         <title>The pages at each stage: a new page joins six, is named and removed</title>\n\
         <rect width=\"680\" height=\"{height}\" fill=\"#fff\"/>\n"
    );
    for (row, line) in lines[first..].iter().enumerate() {
        draw_row(line, TOP + row * ROW, &mut svg).with_context(|| (*line).to_owned())?;
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

fn draw_row(line: &str, y: usize, svg: &mut String) -> Result<()> {
    let end = NAME_COLUMNS + PAGES * PAGE_COLUMNS;
    ensure!(line.is_ascii() && line.len() > end + 1, "too short");
    let base = y + HEIGHT / 2 + 5;
    let text = |x: usize, text: &str, svg: &mut String| {
        // Writing to a string cannot fail.
        let _ = writeln!(
            svg,
            "<text x=\"{x}\" y=\"{base}\" fill=\"#222\">{text}</text>"
        );
    };
    text(16, line[..NAME_COLUMNS].trim(), svg);
    let column = |column: usize| line.as_bytes()[column];
    let mut start = None;
    for page in 0..=PAGES {
        let bar = NAME_COLUMNS + page * PAGE_COLUMNS;
        let x = LEFT + page * WIDTH;
        if column(bar) == b'|' {
            if let Some(start) = start {
                draw_vma(start, x, y, svg);
            }
            start = Some(x);
        }
        match column(bar + 2) {
            _ if page == PAGES => {}
            b' ' => start = None,
            mark => draw_page(mark, x, y, svg)?,
        }
    }
    text(LEFT + PAGES * WIDTH + 20, line[end + 1..].trim(), svg);
    Ok(())
}

/// A page: orange, if it is named.
fn draw_page(mark: u8, x: usize, y: usize, svg: &mut String) -> Result<()> {
    let color = match mark {
        b'.' => "#e8eef4",
        b'#' => "#e69f00",
        _ => anyhow::bail!("unknown mark"),
    };
    let _ = writeln!(
        svg,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"{color}\" \
         stroke=\"#b8c4ce\"/>"
    );
    Ok(())
}

/// The outline of a VMA.
fn draw_vma(start: usize, end: usize, y: usize, svg: &mut String) {
    let width = end - start;
    let _ = writeln!(
        svg,
        "<rect x=\"{start}\" y=\"{y}\" width=\"{width}\" height=\"{HEIGHT}\" fill=\"none\" \
         stroke=\"#222\" stroke-width=\"2.5\"/>"
    );
}
