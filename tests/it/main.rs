//! The integration tests: the operator as it ships, against a real API server and a simulated SWR. Nothing of Kubernetes
//! is simulated, and no test knows a function of the operator's.
//!
//! | Module | What it shows |
//! |---|---|
//! | [`lifecycle`] | created, changed field by field, deleted |
//! | [`drift`] | what happens in the console is put back or reported |
//! | [`conflict`] | a foreign registry of the same name is never written |
//! | [`modes`] | observing, suspending, adopting, asking for a look |
//! | [`edits`] | back and forth, storms, a grave, a thousand objects |
//! | [`permissions`] | every subset of the five permissions |
//! | [`deletion`] | what goes with an object, what holds it, the ways out |
//! | [`secrets`] | the Secret of a registry: what is refused with which words, and what is taken |
//! | [`limits`] | an account keeps to its rate, a refused key is left alone, namespaces take turns |
//! | [`account`] | the account: what it lacks, what it grants, how its key is changed |
//! | [`network`] | TLS with a private authority, a proxy, IPv6 |
//! | [`faults`] | SWR answers with everything but what was asked for |
//! | [`echoes`] | a credential that occurs in SWR's words, or that SWR repeats |
//! | [`leaks`] | a log that tells everything, and kubectl's copy of a Secret in its annotation |
//! | [`giant`] | somebody else's registry that does not fit into an answer |
//! | [`outage`] | SWR cannot be listed for a while, and then it can |
//! | [`unkept`] | SWR takes a request and does something else, or answers with something that is no answer |
//! | [`switches`] | a whole life under each of these ways, alone and mixed |
//! | [`crash`], [`kills`] | killed, or without an answer, at the moments that count |
//! | [`answers`] | the API server answers with everything but what was asked for |
//! | [`clocks`] | times that a process with a wrong clock wrote |
//! | [`crafted`] | a status that no operator of ours wrote |
//! | [`clones`] | a registry copied in the console, tag included |
//! | [`untag`] | `deletionPolicy: Orphan` under everything that passes |
//! | [`witness`] | drift that SWR shows in no answer |
//! | [`fight`] | the tag taken off again and again |
//! | [`rebuild`] | a restored cluster takes its registries back |
//! | [`upgrade`] | what earlier operators left is taken over |
//! | [`chaos`] | one request in three fails while forty objects come and change |
//! | [`shutdown`] | SIGTERM ends in time and loses nothing |
//! | [`apiserver`] | the API server is slow, is gone, refuses what it granted, has forgotten |
//! | [`trust`] | the operator's token and the authority of the API server are replaced |
//! | [`definitions`] | the definitions of the kinds are missing, removed, older or newer |
//! | [`ha`] | of two replicas one works, and the other takes over |
//! | [`duel`] | two operators that do not know of each other serve the same objects |
//! | [`refusals`] | a webhook or a policy keeps the operator from writing |
//! | [`starved`] | a process that may write no file, and open few |
//! | [`rest`] | what two hundred objects cost |
//! | [`admission`] | what the API server refuses, what it takes, what RBAC allows |
//! | [`rights`] | what the operator and people may do, as the API server lists it |
//! | [`doors`] | one input at admission and at the operator: the same answer, the same sentence |
//! | [`events`] | what stands beside an object under Events |
//! | [`orphans`] | what is ours in SWR without an object |
//! | [`read_only`] | an installation that only reads |
//! | [`looks`] | what a user sees |
//! | [`cli`] | the verbs for people: what they print, where, and how they end |
//! | [`chart`] | the Helm chart, from its values to the operator that lives by it |
//! | [`gitops`] | what kubectl, Argo CD, Flux and Helm make of each moment; several managers of one object |
//! | [`install`] | the ways into a cluster, as the documents tell them |
//! | [`architecture`] | what ARCHITECTURE.md says is absent is absent |
//! | [`coverage`] | every documented field of every operation has its test (docs/coverage.md) |
//! | [`reliability`] | every scenario of failure has its test (docs/reliability.md) |
//! | [`monitoring`] | alerts, dashboard and docs/metrics.md name what is served, and no more |
//! | [`release`] | what a release is made of, as far as text can show it |
//! | [`documents`] | generated documents, CRDs and samples are those of the code |
//!
//! The bed that they share: [`cluster`] (API server and audit log), [`cloud`] (simulator), [`site`] (one tenant with a
//! cloud of its own), [`bed`] (an operator that serves some sites), [`manifest`], [`canary`], [`story`]. After every test
//! the bed checks that the operator ended in order, asked for nothing that it may not have, kept the contract of the
//! [`status`] in each write, let no secret out, and logged lines that a strict reader takes ([`log`]).

mod bed;
mod canary;
mod cloud;
mod cluster;
mod log;
mod manifest;
mod site;
mod status;
mod story;

mod account;
mod admission;
mod answers;
mod apiserver;
mod chaos;
mod cli;
mod clocks;
mod clones;
mod conflict;
mod crafted;
mod crash;
mod definitions;
mod deletion;
mod doors;
mod drift;
mod duel;
mod echoes;
mod edits;
mod events;
mod fairness;
mod faults;
mod fight;
mod giant;
mod gitops;
mod guard;
mod ha;
mod install;
mod kills;
mod leaks;
mod lifecycle;
mod limits;
mod looks;
mod matrix;
mod modes;
mod network;
mod orphans;
mod outage;
mod permissions;
mod read_only;
mod rebuild;
mod refusals;
mod rest;
mod rights;
mod rotation;
mod secrets;
mod shutdown;
mod sources;
mod starved;
mod switches;
mod trust;
mod unkept;
mod untag;
mod upgrade;
mod witness;

mod architecture;
mod chart;
mod coverage;
mod documents;
mod monitoring;
mod release;
mod reliability;
