//! The commands `bench`, `architectures` and `size`.

use anyhow::Result;
use clap::Args;
use rig::measure::architectures::Record;
use rig::measure::{boot_time, library, names, size, table};
use rig::program::Build;

/// Options of `bench`.
#[derive(Args)]
pub(crate) struct Bench {
    /// Write the tables into tests/README.md instead of printing them.
    #[arg(long)]
    write: bool,
    /// Print the guest time of each case of `check`, longest first.
    #[arg(long, conflicts_with = "write")]
    cases: bool,
    /// Measure only `maps` and `names`, beside reading the same files, and pmap of procps and of Toybox.
    #[arg(long, conflicts_with_all = ["write", "cases"])]
    names: bool,
    /// Compare the library with other crates that parse maps, instead.
    #[arg(long, conflicts_with_all = ["write", "cases", "names"])]
    library: bool,
}

pub(crate) fn bench(options: &Bench) -> Result<()> {
    if options.library {
        print!("{}", library::measure()?.report());
        return Ok(());
    }
    if options.names {
        print!("{}", names::report(&names::measure()?)?);
        return Ok(());
    }
    if options.cases {
        for (time, case) in boot_time::cases()? {
            println!("{time:8} us  {case}");
        }
        return Ok(());
    }
    let text = table::make()?;
    match options.write {
        true => table::write(&text),
        false => {
            print!("{text}");
            Ok(())
        }
    }
}

pub(crate) fn architectures(is_measured: bool) -> Result<()> {
    if is_measured {
        Record::measure()?.write()?;
    }
    Record::read()?.show()
}

pub(crate) fn size() -> Result<()> {
    for build in [Build::Minimal, Build::Full] {
        println!("{}", size::report(build)?);
    }
    Ok(())
}
