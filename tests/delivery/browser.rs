//! Pages in a headless browser.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use regex::Regex;
use rig::{host_packages, paths, tool};
use serde_json::Value;

/// Options that run Chromium without a display, a sandbox, a GPU and requests of its own.
const OPTIONS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
];

/// Opens the page, runs `script`, the body of a JavaScript function, in it, and returns its
/// value.
pub(crate) fn evaluate(page: &Path, script: &str) -> Result<Value> {
    host_packages::BROWSER.ensure()?;
    let html = fs::read_to_string(page).with_context(|| page.display().to_string())?;
    // Chromium prints the document after its scripts have run. The last element has the value.
    let extended = format!(
        "{html}<script>
        const value = JSON.stringify((() => {{ {script} }})());
        const bytes = new TextEncoder().encode(value);
        const text = btoa(String.fromCharCode(...bytes));
        document.body.insertAdjacentHTML('beforeend', `<pre id=value>${{text}}</pre>`);
        </script>"
    );
    let directory = tempfile::tempdir().context("cannot create a directory")?;
    let copy = paths::scratch("pages")?.join("page.html");
    paths::write(&copy, extended)?;
    let mut chromium = Command::new("chromium");
    chromium.args(OPTIONS).arg("--dump-dom");
    chromium.arg(format!("--user-data-dir={}", directory.path().display()));
    let document = tool::output(chromium.arg(format!("file://{}", copy.display())))?;
    let value = Regex::new(r#"<pre id="value">([^<]*)</pre>"#)?;
    let value = value.captures(&document);
    let value = value.with_context(|| format!("the script has failed in\n{document}"))?;
    Ok(serde_json::from_slice(&BASE64_STANDARD.decode(&value[1])?)?)
}
