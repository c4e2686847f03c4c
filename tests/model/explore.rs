//! Breadth-first exploration of every state, so that the first counterexample found is a
//! shortest one. Keeps 128 bits per state and the step that led to it; traces are replayed.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::time::Instant;

use crate::ask::{Answer, Request};
use crate::facts::Facts as _;
use crate::moves::{Config, Expected, How, Label, Step, World};
use crate::prints::{Prints, fingerprint};
use crate::quiet::Quiet;
use crate::world::{CloudWrite, Flight, Mark, Sent, State};

/// What an exploration found.
pub(crate) struct Report {
    pub(crate) config: Config,
    pub(crate) states: usize,
    pub(crate) transitions: usize,
    pub(crate) depth: u16,
    /// States of quiet continuations.
    pub(crate) continued: usize,
    /// Distinct calls of the core.
    pub(crate) calls: usize,
    pub(crate) seconds: f64,
    pub(crate) capped: bool,
    pub(crate) found: Vec<Found>,
}

/// One kind of violation.
pub(crate) struct Found {
    pub(crate) what: &'static str,
    pub(crate) times: usize,
    pub(crate) trace: Vec<String>,
}

struct Origin {
    parent: u32,
    step: u16,
    depth: u16,
}

#[derive(Clone, Copy)]
enum Where {
    /// In the step with this number from this state.
    Step(u32, usize),
    /// In the quiet continuation of this state.
    Quiet(u32),
}

/// Explores a configuration. A lie is followed until it is found out, the truth to its end.
pub(crate) fn explore(config: Config, states_max: usize) -> Report {
    #[expect(
        clippy::disallowed_methods,
        reason = "how long it took is for people, nothing depends on it"
    )]
    let started = Instant::now();
    let mut world = World::new(config);
    let mut quiet = Quiet::default();
    let mut first = world.beginning();
    first.normalise(config.alike());
    let mut seen = Prints::default();
    seen.insert(fingerprint(&first));
    let mut origins = vec![Origin {
        parent: 0,
        step: 0,
        depth: 0,
    }];
    let mut frontier = VecDeque::from([(0_u32, first)]);
    let mut found: BTreeMap<&'static str, (usize, Where)> = BTreeMap::new();
    let mut steps: Vec<Step> = Vec::new();
    let (mut transitions, mut depth, mut capped) = (0, 0, false);
    while let Some((index, state)) = frontier.pop_front() {
        if config.expected != Expected::Holds && !found.is_empty() {
            break;
        }
        if let Err(unwell) = quiet.check(&mut world, &state, false) {
            let entry = found.entry(unwell.what);
            entry.or_insert((0, Where::Quiet(index))).0 += 1;
        }
        world.steps(&state, &mut steps);
        transitions += steps.len();
        depth = depth.max(origins[index as usize].depth);
        for (n, step) in steps.iter_mut().enumerate() {
            if let Some(wrong) = step.wrong {
                let entry = found.entry(wrong);
                entry.or_insert((0, Where::Step(index, n))).0 += 1;
                // What follows from it is no news.
                continue;
            }
            step.next.normalise(config.alike());
            if !seen.insert(fingerprint(&step.next)) {
                continue;
            }
            if origins.len() >= states_max {
                capped = true;
                continue;
            }
            let next = u32::try_from(origins.len()).expect("fits");
            origins.push(Origin {
                parent: index,
                step: u16::try_from(n).expect("fits"),
                depth: origins[index as usize].depth + 1,
            });
            frontier.push_back((next, step.next));
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let found = found
        .into_iter()
        .map(|(what, (times, place))| Found {
            what,
            times,
            trace: trace(&mut world, &mut quiet, &origins, place),
        })
        .collect();
    Report {
        config,
        states: origins.len(),
        transitions,
        depth,
        continued: quiet.states(),
        calls: world.core.calls(),
        seconds,
        capped,
        found,
    }
}

/// The way from the beginning to a violation, replayed.
fn trace(world: &mut World, quiet: &mut Quiet, origins: &[Origin], place: Where) -> Vec<String> {
    let (mut index, last) = match place {
        Where::Step(index, n) => (index, Some(n)),
        Where::Quiet(index) => (index, None),
    };
    let mut way = Vec::from_iter(last);
    while index > 0 {
        let origin = &origins[index as usize];
        way.push(usize::from(origin.step));
        index = origin.parent;
    }
    way.reverse();
    let mut lines = Vec::new();
    let mut state = world.beginning();
    let mut swapped = state.normalise(world.config.alike());
    let mut steps = Vec::new();
    for n in way {
        world.steps(&state, &mut steps);
        let text = named(world, &steps[n].label, swapped);
        lines.push(format!("[{}] {text}", state.now));
        state = steps[n].next;
        swapped ^= state.normalise(world.config.alike());
    }
    if let (None, Err(unwell)) = (last, quiet.check(world, &state, true)) {
        lines.push("-- no more trouble from here on --".to_owned());
        lines.extend(unwell.path);
        state = *unwell.last;
    }
    lines.push(format!("=> {}", described(world, &state)));
    lines
}

/// The truth of a state in words.
fn described(world: &World, state: &State) -> String {
    let mut text = String::new();
    match state.object {
        None => text.push_str("no object"),
        Some(object) => {
            let object = world.core.object(object);
            let _ = write!(
                text,
                "object uid {} generation {} url {}{}{}, id {:?}, intent {:?}, {} {:?}",
                object.uid_number(),
                object.generation,
                object.url_number(),
                if object.deleting { " deleting" } else { "" },
                if object.has_finalizer() {
                    ""
                } else {
                    " without finalizer"
                },
                object.status.registry_id,
                object.intent_at(),
                object.ready_reason().unwrap_or("-"),
                object.condition("Synced").map(|(status, _)| status),
            );
        }
    }
    for (registry, shown) in state.live() {
        let _ = write!(
            text,
            "; registry {} {} url {} credential {}{}",
            registry.id,
            mark(shown.mark),
            shown.url,
            shown.credential,
            match (registry.stripped, registry.cloned, shown.hidden) {
                (true, _, _) => " (tag taken off)",
                (_, true, _) => " (a copy)",
                (.., 0) => "",
                _ => " with other hosts",
            },
        );
    }
    let _ = write!(text, "; Secret {}", state.secret);
    text
}

fn mark(mark: Mark) -> String {
    match mark {
        Mark::Untagged => "untagged".to_owned(),
        Mark::Uid(uid) => format!("tagged {uid}"),
        Mark::Stranger => "tagged by a stranger".to_owned(),
    }
}

fn controller(k: usize, swapped: bool) -> char {
    if (k == 0) == swapped { 'B' } else { 'A' }
}

fn how(how: How) -> &'static str {
    match how {
        How::Well => "",
        How::Refused => ", refused",
        How::Lost => ", request lost",
        How::AnswerLost => ", carried out, answer lost",
        How::WithoutId => ", carried out, answer without id",
        How::Late => ", outcome unknown, still on the wire",
        How::Slowly => ", on its way",
        How::Lagging => ", lagging",
        How::TooLate => ", not sent: too late",
        How::OutOfPatience => ", not waited for",
    }
}

/// A step in words.
pub(crate) fn named(world: &mut World, label: &Label, swapped: bool) -> String {
    match *label {
        Label::Watched(k, uid, went) => format!(
            "{} begins a reconcile with what the watch shows (uid {uid}){}",
            controller(k, swapped),
            how(went)
        ),
        Label::Start(k, uid, went) => format!(
            "{} begins a reconcile and reads the object (queued under uid {uid}){}",
            controller(k, swapped),
            how(went)
        ),
        Label::Effect(k, effect, went, answer) => {
            let name = world.core.effect(effect).name();
            let detail = match world.core.request(effect) {
                Request::Show { id, .. } => format!(" {id}"),
                Request::Cloud { write, .. } => cloud(write),
                Request::Object
                | Request::Confirm
                | Request::Account
                | Request::Secret
                | Request::List { .. }
                | Request::Owner(_)
                | Request::Room
                | Request::Kube(..) => String::new(),
            };
            let answer = answer.map_or_else(String::new, |answer| {
                format!(" -> {}", answered(world, answer))
            });
            format!(
                "{}: {name}{detail}{}{answer}",
                controller(k, swapped),
                how(went)
            )
        }
        Label::Status(k, ending, went) => {
            let summary = world.core.summary(ending);
            format!(
                "{}: writes the status after {:?}{}",
                controller(k, swapped),
                summary.verdict,
                how(went)
            )
        }
        Label::Crash(k) => format!("{} crashes and starts anew", controller(k, swapped)),
        Label::Skew(k, ahead) => {
            format!("{}'s clock is {ahead:+} ticks off", controller(k, swapped))
        }
        Label::Drift(k, ticks) => {
            let what = if ticks > 0 { "gains" } else { "loses" };
            let ticks = ticks.unsigned_abs();
            format!("{}'s clock {what} {ticks}", controller(k, swapped))
        }
        Label::Land(flight) => format!("lands: {}", on_the_wire(&flight, swapped)),
        Label::Vanish(flight) => format!("never lands: {}", on_the_wire(&flight, swapped)),
        Label::Tick => "a tick passes".to_owned(),
        Label::Other(what) => what.to_owned(),
    }
}

fn on_the_wire(flight: &Flight, swapped: bool) -> String {
    let by = controller(usize::from(flight.by), swapped);
    let what = match flight.what {
        Sent::Kube(write) if write.finalizers => " write of finalizers".to_owned(),
        Sent::Kube(_) => " write of the status".to_owned(),
        Sent::Cloud(write) => cloud(write),
    };
    format!("{by}'s{what} of [{}]", flight.sent)
}

fn cloud(write: CloudWrite) -> String {
    match write {
        CloudWrite::Post { uid, url, .. } => format!(" POST for uid {uid}, url {url}"),
        CloudWrite::Put {
            id,
            mark: tag,
            url,
            credential,
            ..
        } => {
            // Only on the wire; which credential the executor holds is no part of an effect.
            let held = match credential {
                0 => String::new(),
                version => format!(", credential {version}"),
            };
            format!(" PUT {id} {}, url {url}{held}", mark(tag))
        }
        CloudWrite::Delete { id, .. } => format!(" DELETE {id}"),
    }
}

fn answered(world: &World, answer: Answer) -> String {
    match answer {
        Answer::Object(None) => "none".to_owned(),
        Answer::Object(Some(object)) => {
            format!("version {}", world.core.object(object).version.0)
        }
        Answer::Inventory(view) => {
            let shown: Vec<String> = view
                .iter()
                .flatten()
                .map(|shown| format!("{} {} url {}", shown.id, mark(shown.mark), shown.url))
                .collect();
            format!("[{}]", shown.join(", "))
        }
        Answer::Registry(shown) => format!("{}, url {}", mark(shown.mark), shown.url),
        Answer::Created(Some(id)) => format!("id {id}"),
        Answer::Created(None) => "created".to_owned(),
        Answer::Secret(version) => format!("version {version}"),
        Answer::Cloud(class, cause) => format!("{class:?}: {cause:?}"),
        Answer::Kube(failure) => format!("{failure:?}"),
        Answer::Account | Answer::Done => "done".to_owned(),
        Answer::Owned(exists) => if exists { "it exists" } else { "nobody" }.to_owned(),
        Answer::LateList => "nothing in time".to_owned(),
    }
}
