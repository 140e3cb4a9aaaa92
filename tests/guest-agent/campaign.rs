//! Which faults each call of a run can meet, and what became of them.
//!
//! The calls come from a trace of the run without faults, so that a call that is
//! new in the program is covered by itself, or named as one that the table lacks.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use guest_agent::{Campaign, Fault, Injection, Outcome, Place, Run};
use nix::errno::Errno;

use crate::launch;
use crate::stage::Stage;
use crate::tracer::{Traced, trace};

/// What each call can fail with.
const TABLE: &str = include_str!("errnos.txt");

/// Every call of `run`, with every fault that it can meet.
pub(crate) fn campaign(run: &Run) -> Result<Campaign> {
    let (traced, baseline) = start(run, None)?;
    let mut campaign = Campaign {
        calls: traced.calls,
        baseline,
        ..Campaign::default()
    };
    for place in campaign.calls.clone() {
        for fault in faults(&place.call)? {
            campaign.inject(run, (place.clone(), fault))?;
        }
    }
    Ok(campaign)
}

fn start(run: &Run, fault: Option<&(Place, Fault)>) -> Result<(Traced, Outcome)> {
    let stage = Stage::set(run)?;
    let mut child = launch::launch(run, true)?;
    let traced = trace(&mut child, fault)?;
    let outcome = stage.outcome(run, traced.end, child)?;
    Ok((traced, outcome))
}

trait Inject {
    fn inject(&mut self, run: &Run, fault: (Place, Fault)) -> Result<()>;
}

impl Inject for Campaign {
    fn inject(&mut self, run: &Run, fault: (Place, Fault)) -> Result<()> {
        let (traced, outcome) =
            start(run, Some(&fault)).with_context(|| format!("with {fault:?}"))?;
        if !traced.hit {
            self.missed.push(fault);
            return Ok(());
        }
        let known = self.outcomes.iter().position(|known| *known == outcome);
        let number = known.unwrap_or_else(|| {
            self.outcomes.push(outcome);
            self.outcomes.len() - 1
        });
        let left_out = left_out(&self.calls, &traced.calls);
        self.injections.push(Injection {
            place: fault.0,
            fault: fault.1,
            outcome: number,
            left_out,
        });
        Ok(())
    }
}

/// Which of the `usual` calls are not among those `made`. Their arguments are not
/// looked at: there are process numbers among them.
fn left_out(usual: &[Place], made: &[Place]) -> Vec<Place> {
    let key = |place: &Place| (place.process, place.call.clone(), place.before);
    let made: BTreeSet<_> = made.iter().map(key).collect();
    let is_missing = |place: &&Place| !made.contains(&key(place));
    usual.iter().filter(is_missing).cloned().collect()
}

/// The faults that a call can meet, by the table.
fn faults(call: &str) -> Result<Vec<Fault>> {
    let mut rows = TABLE.lines().filter(|line| !line.starts_with('#'));
    let row = rows
        .find_map(|line| line.strip_prefix(call)?.strip_prefix(' '))
        .with_context(|| format!("errnos.txt does not tell how {call} fails"))?;
    let mut faults = Vec::new();
    for word in row.split_whitespace() {
        match word {
            "never" => {}
            "shorter" => faults.extend([
                Fault::Count(0),
                Fault::Count(1),
                Fault::Count(7),
                Fault::CountForever(1),
            ]),
            _ => {
                let errno = errno(word)
                    .with_context(|| format!("errnos.txt has {word}, which is no errno"))?;
                faults.push(Fault::Errno(errno));
                if matches!(word, "EINTR" | "EAGAIN") {
                    faults.push(Fault::Forever(errno));
                }
            }
        }
    }
    Ok(faults)
}

/// The number of an errno.
fn errno(name: &str) -> Option<i32> {
    (1..=133).find(|number| format!("{:?}", Errno::from_raw(*number)) == name)
}
