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

/// Options without which Chromium needs a sandbox, a GPU or a network.
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

/// Opens the page and returns the value that `script`, the body of a JavaScript function,
/// returns in it.
pub(crate) fn evaluate(page: &Path, script: &str) -> Result<Value> {
    host_packages::BROWSER.ensure()?;
    let html = fs::read_to_string(page).with_context(|| page.display().to_string())?;
    // The browser prints the document after the scripts have run. The value is its last text.
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
