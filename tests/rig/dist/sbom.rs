//! The bill of materials in the format of CycloneDX 1.5.

use anyhow::Result;
use serde_json::{Value, json};

use super::Release;
use super::dependencies::Dependency;
use crate::program;
use crate::target::Target;

/// The text of `sbom.cdx.json`. It also names the compiler for each target.
pub(super) fn text(release: &Release, targets: &[&'static Target]) -> Result<String> {
    let own = package_url(program::PACKAGE, &release.version);
    let dependencies = &release.dependencies;
    let components: Vec<Value> = dependencies.iter().map(component).collect();
    let mut uses: Vec<Value> = dependencies.iter().map(uses).collect();
    // What no other crate uses is used by the program itself.
    let is_direct = |it: &&Dependency| !dependencies.iter().any(|other| other.has_use(it));
    let direct = dependencies.iter().filter(is_direct);
    let direct: Vec<String> = direct.map(Dependency::url).collect();
    uses.insert(0, json!({ "ref": own, "dependsOn": direct }));
    let compilers = targets.iter().map(|target| {
        let release = program::compiler_release(target)?;
        let name = format!("{}:compiler:{}", program::PACKAGE, target.name);
        anyhow::Ok(json!({ "name": name, "value": format!("rustc {release}") }))
    });
    let compilers: Vec<Value> = compilers.collect::<Result<_>>()?;
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": program::PACKAGE,
                "version": release.version,
                "licenses": [{ "license": { "id": "MIT" } }],
                "purl": own,
            },
            "properties": compilers,
        },
        "components": components,
        "dependencies": uses,
    });
    Ok(format!("{document:#}\n"))
}

fn component(dependency: &Dependency) -> Value {
    json!({
        "type": "library",
        "bom-ref": dependency.url(),
        "name": dependency.name,
        "version": dependency.version,
        "licenses": [{ "expression": dependency.license.replace('/', " OR ") }],
        "hashes": [{ "alg": "SHA-256", "content": dependency.checksum }],
        "purl": dependency.url(),
    })
}

fn uses(dependency: &Dependency) -> Value {
    let uses = dependency.uses.iter();
    let uses: Vec<String> = uses
        .map(|(name, version)| package_url(name, version))
        .collect();
    json!({ "ref": dependency.url(), "dependsOn": uses })
}

impl Dependency {
    fn url(&self) -> String {
        package_url(&self.name, &self.version)
    }

    fn has_use(&self, other: &Dependency) -> bool {
        self.uses.iter().any(|(name, _)| *name == other.name)
    }
}

fn package_url(name: &str, version: &str) -> String {
    format!("pkg:cargo/{name}@{version}")
}
