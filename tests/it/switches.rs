//! Whatever SWR answers where its documents are silent: registries are created, changed, put back and deleted with one
//! request each, or the condition says why not, and nobody else's registry is touched.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, PoisonError};

use swr_simulator::Switches;

use crate::bed::{check_all, in_parallel, say};
use crate::site::Site;

mod life;
mod meets;
mod mixes;
mod rows;

use life::{Case, is_number, live};
use meets::MEETINGS;
use mixes::{Dice, mix, seed};
use rows::{ELSEWHERE, rows};

/// Cases that one operator serves.
const SITES: usize = 16;
/// Operators at once: what two cores can serve in good time.
const BEDS: usize = 5;

/// A place for a bed, given back when it is dropped.
struct Place;

static TAKEN: Mutex<usize> = Mutex::new(0);
static FREED: Condvar = Condvar::new();

impl Place {
    fn take() -> Self {
        let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = FREED
            .wait_while(taken, |taken| *taken >= BEDS)
            .unwrap_or_else(PoisonError::into_inner);
        *taken += 1;
        Self
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        FREED.notify_one();
    }
}

/// Runs every case, so many at once for each operator.
fn check_many<C: Sync>(name: &str, cases: &[(String, C)], check: impl Fn(&Site, &C) + Sync) {
    let names: Vec<String> = (0..cases.len()).map(|n| format!("n{n}")).collect();
    let all: Vec<(&str, &(String, C))> = names.iter().map(String::as_str).zip(cases).collect();
    let names: Vec<String> = (0..all.len().div_ceil(SITES))
        .map(|n| format!("{name}{n}"))
        .collect();
    let beds: Vec<_> = names
        .iter()
        .map(String::as_str)
        .zip(all.chunks(SITES))
        .map(|(name, chunk)| (name, (name, chunk)))
        .collect();
    in_parallel(&beds, |(name, chunk)| {
        let _place = Place::take();
        check_all(name, chunk, |site, (title, case)| {
            struct Title<'a>(&'a Site, &'a str);
            impl Drop for Title<'_> {
                fn drop(&mut self) {
                    if std::thread::panicking() {
                        say(&format!("case of {}: {}", self.0.name, self.1));
                    }
                }
            }
            let _title = Title(site, title);
            check(site, case);
        });
    });
}

#[test]
fn a_life_goes_as_it_should_under_each_answer_that_swr_may_give() {
    let cases: Vec<(String, Case)> = rows().into_iter().map(|c| (c.title(), c)).collect();
    check_many("switch", &cases, live);
}

#[test]
fn what_only_some_lives_meet_is_told_as_it_is() {
    let cases: Vec<_> = MEETINGS
        .iter()
        .flat_map(|meeting| {
            meeting.values.iter().map(move |(value, expected)| {
                let title = format!("{}={value}", meeting.switch);
                (title, (meeting, *value, *expected))
            })
        })
        .collect();
    check_many("meets", &cases, |site, (meeting, value, expected)| {
        site.cloud
            .switch(&serde_json::json!({meeting.switch: value}));
        (meeting.check)(site, expected);
    });
}

/// 50 mixes; `SWR_IT_SEED` repeats them.
#[test]
fn a_life_goes_as_it_should_under_mixed_answers() {
    let seed = seed();
    say(&format!("SWR_IT_SEED={seed}"));
    let mut dice = Dice::new(seed);
    let cases: Vec<(String, Case)> = (0..50)
        .map(|n| {
            let case = mix(&mut dice);
            let title = format!("{n} of SWR_IT_SEED={seed}: {case:#?}");
            (title, case)
        })
        .collect();
    check_many("mix", &cases, live);
}

#[test]
fn every_value_of_every_switch_has_a_case() {
    let mut met: BTreeSet<String> = BTreeSet::new();
    for case in rows() {
        for (name, value) in &case.set {
            let value = if is_number(name) { "" } else { value };
            met.insert(format!("{name}={value}"));
        }
    }
    for meeting in &MEETINGS {
        for (value, _) in meeting.values {
            met.insert(format!("{}={value}", meeting.switch));
        }
    }
    met.extend(ELSEWHERE.map(|(pair, _)| pair.to_owned()));
    let defaults = Switches::default().to_json();
    let all: BTreeSet<String> = Switches::table()
        .iter()
        .flat_map(|row| {
            let values: Vec<&str> = if is_number(row.name) {
                vec![""]
            } else {
                let values = row.allowed.split(", ");
                values.filter(|v| defaults[row.name] != **v).collect()
            };
            values
                .into_iter()
                .map(|value| format!("{}={value}", row.name))
                .collect::<Vec<_>>()
        })
        .collect();
    let missing: Vec<&String> = all.difference(&met).collect();
    assert!(missing.is_empty(), "without a case: {missing:?}");
    for (_, test) in ELSEWHERE {
        assert!(crate::coverage::exists(test), "there is no test {test}");
    }
}
