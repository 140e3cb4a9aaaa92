//! A fault campaign: every fault of every system call of a run, injected one at a time.
//!
//! A trace of the run without faults gives the calls, so new calls of the program are
//! covered without a change here. If `errnos.txt` lacks a call, the campaign fails and
//! names it.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use guest_agent::{Call, Campaign, Fault, Injection, Run, RunResult};
use nix::errno::Errno;

use crate::launch;
use crate::sandbox::Sandbox;
use crate::tracer::{Trace, trace};

/// The errnos of each system call.
const ERRNOS: &str = include_str!("errnos.txt");

/// Injects each fault that each call of `run` can have.
pub(crate) fn inject_faults(run: &Run) -> Result<Campaign> {
    let (trace, baseline) = run_traced(run, None)?;
    let mut campaign = Campaign {
        calls: trace.calls,
        baseline,
        ..Campaign::default()
    };
    for call in campaign.calls.clone() {
        for fault in faults(&call.name)? {
            inject(&mut campaign, run, (call.clone(), fault))?;
        }
    }
    Ok(campaign)
}

fn run_traced(run: &Run, fault: Option<&(Call, Fault)>) -> Result<(Trace, RunResult)> {
    let sandbox = Sandbox::new(run)?;
    let mut child = launch::launch(run, true)?;
    let trace = trace(&mut child, fault)?;
    let result = sandbox.result(run, trace.end, child)?;
    Ok((trace, result))
}

fn inject(campaign: &mut Campaign, run: &Run, fault: (Call, Fault)) -> Result<()> {
    let traced = run_traced(run, Some(&fault));
    let (trace, result) = traced.with_context(|| format!("with {fault:?}"))?;
    if !trace.injected {
        campaign.missed.push(fault);
        return Ok(());
    }
    let results = &mut campaign.results;
    let known = results.iter().position(|known| *known == result);
    let index = known.unwrap_or_else(|| {
        results.push(result);
        results.len() - 1
    });
    let (call, fault) = fault;
    campaign.injections.push(Injection {
        call,
        fault,
        result: index,
        missing: missing(&campaign.calls, &trace.calls),
    });
    Ok(())
}

/// The calls in `expected` that are not in `made`. The arguments are not compared, because
/// some of them are PIDs.
fn missing(expected: &[Call], made: &[Call]) -> Vec<Call> {
    let key = |call: &Call| (call.process, call.name.clone(), call.index);
    let made: BTreeSet<_> = made.iter().map(key).collect();
    let is_missing = |call: &&Call| !made.contains(&key(call));
    expected.iter().filter(is_missing).cloned().collect()
}

/// The faults that a call can have, from the table `errnos.txt`.
fn faults(call: &str) -> Result<Vec<Fault>> {
    let mut rows = ERRNOS.lines().filter(|line| !line.starts_with('#'));
    let row = rows
        .find_map(|line| line.strip_prefix(call)?.strip_prefix(' '))
        .with_context(|| format!("errnos.txt has no row for {call}"))?;
    let mut faults = Vec::new();
    for word in row.split_whitespace() {
        match word {
            "never" => {}
            "short" => faults.extend([
                Fault::Short(0),
                Fault::Short(1),
                Fault::Short(7),
                Fault::ShortForever(1),
            ]),
            _ => {
                let errno = errno(word)
                    .with_context(|| format!("errnos.txt: {word} is not the name of an errno"))?;
                faults.push(Fault::Errno(errno));
                if matches!(word, "EINTR" | "EAGAIN") {
                    faults.push(Fault::ErrnoForever(errno));
                }
            }
        }
    }
    Ok(faults)
}

/// The number of the errno with this name.
fn errno(name: &str) -> Option<i32> {
    (1..=133).find(|number| format!("{:?}", Errno::from_raw(*number)) == name)
}
