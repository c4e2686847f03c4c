//! Rates, pauses and the circuit breaker, under a paused clock.

use std::collections::VecDeque;

use super::super::circuit::PROBE_EVERY;
use super::*;

const WINDOWS: Windows = Windows {
    wait_max: Duration::from_mins(1),
    recovery: Duration::from_secs(1),
    memory: Duration::from_mins(5),
    patience: Duration::from_secs(10),
};

fn limiter(requests_per_second: f64, burst: u32, in_flight: u32) -> Limiter {
    let limits = Limits {
        requests_per_second,
        burst,
        in_flight,
    };
    // The time of the process must not begin after this test has moved its clock.
    let _ = clock::now();
    Limiter::new(limits, WINDOWS, Arc::default())
}

fn too_many(after_secs: Option<u32>) -> Failure {
    Failure::new(Class::Throttled { after_secs }, Cause::Throttled)
}

/// What is given up for want of room or rate, with nothing sent.
fn own_limits(after_secs: Option<u32>) -> Failure {
    Failure::new(Class::Throttled { after_secs }, Cause::OwnLimits)
}

fn refused() -> Failure {
    Failure::new(Class::Denied, Cause::AuthFailed)
}

/// Sends one request that goes as told, and says how long it waited.
async fn send(limiter: &Limiter, result: Result<(), Failure>) -> Result<Duration, Failure> {
    let from = Instant::now();
    let permit = limiter.admit(None, None).await?;
    let waited = from.elapsed();
    permit.settle(result.as_ref().copied());
    Ok(waited)
}

/// Requests that pass within a time, when each goes well.
async fn n_within(limiter: &Limiter, secs: u64) -> u32 {
    let end = clock::after(Duration::from_secs(secs));
    let mut n = 0;
    while let Ok(permit) = limiter.admit(Some(end), None).await {
        permit.settle(Ok(()));
        n += 1;
    }
    n
}

#[tokio::test(start_paused = true)]
async fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
    let limiter = limiter(10.0, 20, 4);
    let from = Instant::now();
    for n in 0..120 {
        assert!(send(&limiter, Ok(())).await.is_ok(), "{n}");
    }
    let took = from.elapsed().as_secs_f64();
    assert!((9.9..10.3).contains(&took), "{took}");
    // A pause does not save up more than the burst.
    tokio::time::advance(Duration::from_mins(10)).await;
    assert_eq!(n_within(&limiter, 0).await, 20);
}

#[tokio::test(start_paused = true)]
async fn no_more_are_under_way_than_allowed() {
    let limiter = limiter(100.0, 100, 2);
    let one = limiter.admit(None, None).await.expect("room");
    let _two = limiter.admit(None, None).await.expect("room");
    let soon = Some(clock::after(Duration::from_secs(1)));
    assert_eq!(
        limiter.admit(soon, None).await.err(),
        Some(own_limits(None))
    );
    assert_eq!(
        limiter.admit(None, None).await.err(),
        Some(own_limits(None))
    );
    drop(one);
    let later = Some(clock::after(WINDOWS.wait_max));
    assert!(limiter.admit(later, None).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_write_never_begins_late() {
    let limiter = limiter(1.0, 1, 4);
    let late = Failure::new(Class::Transient, Cause::TooLate);
    let in_half_a_second = clock::after(Duration::from_millis(500));
    assert!(limiter.admit(Some(in_half_a_second), None).await.is_ok());
    // The next token comes after the time, so it is not waited for.
    let from = Instant::now();
    assert_eq!(
        limiter.admit(Some(in_half_a_second), None).await.err(),
        Some(own_limits(Some(1)))
    );
    assert_eq!(from.elapsed(), Duration::ZERO);
    // With a token at hand, a time that has passed is still too late.
    tokio::time::advance(Duration::from_secs(5)).await;
    assert_eq!(
        limiter.admit(Some(in_half_a_second), None).await.err(),
        Some(late)
    );
    assert!(limiter.admit(None, None).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_reservation_keeps_room_until_it_is_used_or_dropped() {
    let limiter = Arc::new(limiter(0.1, 1, 1));
    let reservation = limiter.reserve("share").await.expect("room");
    let from = Instant::now();
    let soon = || Some(clock::after(Duration::from_secs(1)));
    let own = own_limits(Some(10));
    assert_eq!(limiter.admit(soon(), None).await.err(), Some(own.clone()));
    // Who has it waits for no other.
    let permit = limiter
        .admit(soon(), Some(reservation))
        .await
        .expect("reserved");
    permit.settle(Ok(()));
    assert_eq!(from.elapsed(), Duration::ZERO);
    assert_eq!(limiter.admit(soon(), None).await.err(), Some(own));
    // The next has waited ten seconds for it; dropped, it is anybody's.
    drop(limiter.reserve("share").await.expect("room in time"));
    assert_eq!(from.elapsed().as_secs(), 10);
    assert!(limiter.admit(soon(), None).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn no_more_reservations_are_given_than_requests_may_be_under_way() {
    let limiter = Arc::new(limiter(100.0, 100, 2));
    let one = limiter.reserve("share").await.expect("room");
    let two = limiter.reserve("share").await.expect("room");
    let third = limiter.reserve("share").await;
    assert_eq!(third.err(), Some(own_limits(None)));
    // A request keeps its place until it has ended.
    let permit = limiter.admit(None, Some(one)).await.expect("reserved");
    assert!(limiter.reserve("share").await.is_err());
    drop(permit);
    drop(limiter.reserve("share").await.expect("room"));
    drop(two);
}

#[tokio::test(start_paused = true)]
async fn reservations_go_to_those_who_came_first_and_the_others_are_told() {
    let limiter = Arc::new(limiter(0.1, 1, 16));
    let from = Instant::now();
    let mut asking = Vec::new();
    for limiter in (0..10).map(|_| Arc::clone(&limiter)) {
        asking.push(tokio::spawn(async move { limiter.reserve("share").await }));
    }
    let mut reservations = Vec::new();
    for asks in asking {
        reservations.push(asks.await.expect("no panic"));
    }
    let n_given = reservations.iter().filter(|it| it.is_ok()).count();
    // One at once, and one each ten seconds of a minute.
    assert_eq!((n_given, from.elapsed().as_secs()), (7, 60));
    assert!(reservations[..7].iter().all(Result::is_ok));
    let told: Vec<Failure> = reservations.into_iter().filter_map(Result::err).collect();
    assert!(told.iter().all(|failure| failure.cause == Cause::OwnLimits));
}

#[tokio::test(start_paused = true)]
async fn one_share_with_many_requests_does_not_hold_up_one_with_few() {
    let limiter = Arc::new(limiter(1.0, 1, 4));
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut asking = tokio::task::JoinSet::new();
    for share in ["many"; 20].into_iter().chain(["few"; 2]) {
        let (limiter, order) = (Arc::clone(&limiter), Arc::clone(&order));
        asking.spawn(async move {
            let reservation = limiter.reserve(share).await.expect("room in time");
            order.lock().expect("no panic").push(share);
            let permit = limiter.admit(None, Some(reservation)).await;
            permit.expect("admitted").settle(Ok(()));
        });
    }
    asking.join_all().await;
    let order = order.lock().expect("no panic");
    assert_eq!(order[..6], ["many", "many", "few", "many", "few", "many"]);
    assert_eq!(order.len(), 22);
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_says_whose_limit_it_waited_for() {
    let limiter = limiter(1.0, 1, 4);
    let soon = || Some(clock::after(Duration::from_millis(500)));
    send(&limiter, Ok(())).await.expect("admitted");
    let own = own_limits(Some(1));
    assert_eq!(limiter.admit(soon(), None).await.err(), Some(own));
    // That is no refusal by SWR: rate and key are as they were.
    assert!((limiter.lock().per_second - 1.0).abs() < 1e-9);
    assert_eq!(limiter.refusal(), None);
    tokio::time::advance(Duration::from_secs(1)).await;
    // Since SWR said so, the account is slower than its own limits.
    send(&limiter, Err(too_many(None))).await.expect("admitted");
    let swr = too_many(Some(1));
    assert_eq!(limiter.admit(soon(), None).await.err(), Some(swr));
}

#[tokio::test(start_paused = true)]
async fn a_429_halves_the_rate_and_success_restores_what_swr_took() {
    let limiter = limiter(16.0, 1, 4);
    let is = |expected: f64| {
        let rate = limiter.lock().per_second;
        assert!((rate - expected).abs() < 1e-9, "{rate} {expected}");
    };
    for expected in [8.0, 4.0, 2.0, 1.0, 1.0] {
        send(&limiter, Err(too_many(None))).await.expect("admitted");
        is(expected);
    }
    // What is refused at the slowest may be taken there all the same.
    send(&limiter, Ok(())).await.expect("admitted");
    is(1.0);
    tokio::time::advance(WINDOWS.memory).await;
    send(&limiter, Ok(())).await.expect("admitted");
    is(2.6);
    // Success within the window changes nothing.
    send(&limiter, Ok(())).await.expect("admitted");
    is(2.6);
    let steps = [4.2, 5.8, 7.4, 9.0, 10.6, 12.2, 13.8, 15.4, 16.0, 16.0];
    for expected in steps {
        tokio::time::advance(WINDOWS.recovery).await;
        send(&limiter, Ok(())).await.expect("admitted");
        is(expected);
    }
    // Up to 95 % of the rate that was refused, and further when that is five minutes ago.
    send(&limiter, Err(too_many(None))).await.expect("admitted");
    for expected in [8.0, 9.6, 11.2, 12.8, 14.4, 15.2, 15.2] {
        is(expected);
        tokio::time::advance(WINDOWS.recovery).await;
        send(&limiter, Ok(())).await.expect("admitted");
    }
    tokio::time::advance(WINDOWS.memory).await;
    send(&limiter, Ok(())).await.expect("admitted");
    is(16.0);
}

#[tokio::test(start_paused = true)]
async fn more_than_a_refused_rate_is_tried_sooner_or_later_by_how_that_went_before() {
    let limiter = limiter(10.0, 1, 4);
    let refused = || {
        let refused = limiter.lock().refused.expect("a 429");
        (refused.rate, refused.patience.as_secs())
    };
    let goes_well_for = async |secs: u32| {
        for _ in 0..secs {
            tokio::time::advance(Duration::from_secs(1)).await;
            send(&limiter, Ok(())).await.expect("admitted");
        }
    };
    let set = |rate| limiter.lock().per_second = rate;
    // An accident.
    set(8.0);
    send(&limiter, Err(too_many(None))).await.expect("admitted");
    assert_eq!(refused(), (8.0, 10));
    goes_well_for(9).await;
    assert_eq!(refused(), (8.0, 10));
    goes_well_for(2).await;
    assert_eq!(refused(), (10.0, 10));
    // What is refused once more is what it was before, and is tried again later.
    set(9.0);
    send(&limiter, Err(too_many(None))).await.expect("admitted");
    assert_eq!(refused(), (8.0, 20));
    goes_well_for(19).await;
    assert_eq!(refused(), (8.0, 20));
    // What is refused without having been tried tells nothing of that.
    set(6.0);
    send(&limiter, Err(too_many(None))).await.expect("admitted");
    assert_eq!(refused(), (6.0, 20));
}

/// Between its reservation and its request, each writes an intent, which takes 10 to 130 ms.
#[tokio::test(start_paused = true)]
async fn requests_that_were_reserved_leave_apart_however_long_each_took_to_be_ready() {
    const PER_SECOND: usize = 10;
    let limiter = Arc::new(limiter(10.0, 20, 4));
    let passed = Arc::new(Mutex::new(VecDeque::<Instant>::new()));
    let mut writing = tokio::task::JoinSet::new();
    for worker in 0..16_u64 {
        let (limiter, passed) = (Arc::clone(&limiter), Arc::clone(&passed));
        writing.spawn(async move {
            let (mut n_passed, mut n_refused) = (0_u32, 0_u32);
            let from = Instant::now();
            let mut turn = worker;
            while from.elapsed() < Duration::from_mins(2) {
                let reservation = limiter.reserve("share").await.expect("room in time");
                turn = turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                tokio::time::sleep(Duration::from_millis(10 + (turn >> 33) % 120)).await;
                let permit = limiter.admit(None, Some(reservation)).await;
                let permit = permit.expect("admitted");
                let now = Instant::now();
                let is_taken = {
                    let mut passed = passed.lock().expect("no panic");
                    passed.retain(|at| now.duration_since(*at) < Duration::from_secs(1));
                    let is_taken = passed.len() < PER_SECOND;
                    passed.extend(is_taken.then_some(now));
                    is_taken
                };
                match is_taken {
                    true => n_passed += 1,
                    false => n_refused += 1,
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
                let refusal = too_many(None);
                permit.settle(if is_taken { Ok(()) } else { Err(&refusal) });
            }
            (n_passed, n_refused)
        });
    }
    let counts = writing.join_all().await;
    let n_passed: u32 = counts.iter().map(|(passed, _)| passed).sum();
    let n_refused: u32 = counts.iter().map(|(_, refused)| refused).sum();
    // 1,124 at 95 %, less the pause and the way back at the beginning.
    let is_good = n_passed >= 1_100 && n_refused <= 5;
    assert!(is_good, "{n_passed} passed, {n_refused} are refused");
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_counts_seconds_is_asked_as_much_as_it_takes() {
    // A cloud that takes ten times less than it is asked for is found by halves.
    for (taken, nominal, refused_max) in [
        (10_u32, 10.0, 0.005),
        (10, 20.0, 0.005),
        (3, 10.0, 0.02),
        (1, 10.0, 0.1),
    ] {
        let limiter = limiter(nominal, 20, 4);
        let (mut passed, mut n_refused) = (VecDeque::new(), 0);
        let (from, mut n_passed) = (Instant::now(), 0);
        while from.elapsed() < Duration::from_mins(5) {
            let permit = limiter.admit(None, None).await.expect("admitted");
            let now = Instant::now();
            passed.retain(|at| now.duration_since(*at) < Duration::from_secs(1));
            if passed.len() < taken as usize {
                passed.push_back(now);
                n_passed += 1;
                permit.settle(Ok(()));
            } else {
                n_refused += 1;
                permit.settle(Err(&too_many(None)));
            }
        }
        let part = f64::from(n_passed) / f64::from(taken * 300);
        let refused = f64::from(n_refused) / f64::from(n_passed);
        let is_good = part > 0.9 && refused < refused_max;
        assert!(is_good, "{taken} {nominal}: {part} {refused}");
    }
}

#[tokio::test(start_paused = true)]
async fn requests_that_were_under_way_together_halve_the_rate_once() {
    let limiter = limiter(16.0, 4, 4);
    let mut permits = Vec::new();
    for _ in 0..4 {
        permits.push(limiter.admit(None, None).await.expect("room"));
    }
    tokio::time::advance(Duration::from_millis(1)).await;
    for permit in permits {
        permit.settle(Err(&too_many(None)));
    }
    assert!((limiter.lock().per_second - 8.0).abs() < 1e-9);
}

#[tokio::test(start_paused = true)]
async fn retry_after_pauses_the_whole_account() {
    let limiter = limiter(10.0, 20, 4);
    send(&limiter, Err(too_many(Some(30))))
        .await
        .expect("admitted");
    let waited = send(&limiter, Ok(())).await.expect("admitted");
    assert!((30.0..30.3).contains(&waited.as_secs_f64()), "{waited:?}");

    // Nobody waits for a pause that is longer than the patience.
    send(&limiter, Err(too_many(Some(900))))
        .await
        .expect("admitted");
    let from = Instant::now();
    assert_eq!(
        limiter.admit(None, None).await.err(),
        Some(too_many(Some(900)))
    );
    assert_eq!(from.elapsed(), Duration::ZERO);
    // A shorter pause does not cut a longer one.
    tokio::time::advance(Duration::from_secs(850)).await;
    let waited = send(&limiter, Ok(())).await.expect("admitted");
    assert!((50.0..50.3).contains(&waited.as_secs_f64()), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_is_tried_once_in_five_minutes_whatever_the_number_of_objects() {
    let limiter = limiter(10.0, 20, 4);
    for _ in 0..5 {
        send(&limiter, Err(refused())).await.expect("admitted");
    }
    let mut n_tried = 0;
    for _ in 0..3600 {
        for _ in 0..3 {
            match send(&limiter, Err(refused())).await {
                Ok(_) => n_tried += 1,
                Err(failure) => assert_eq!(failure, refused()),
            }
        }
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert_eq!(
        n_tried, 11,
        "an hour has twelve times five minutes, the first is the pause"
    );
    // One success closes the circuit.
    tokio::time::advance(PROBE_EVERY).await;
    send(&limiter, Ok(())).await.expect("the probe");
    for _ in 0..4 {
        send(&limiter, Err(refused())).await.expect("admitted");
    }
    send(&limiter, Ok(())).await.expect("still closed");
}

#[tokio::test(start_paused = true)]
async fn only_a_proof_that_the_key_works_closes_the_circuit() {
    for (cause, is_proof) in [
        (Cause::Forbidden, true),
        (Cause::RegistryNotFound, true),
        (Cause::ServerError, false),
        (Cause::Unreachable, false),
        (Cause::ApiNotFound, false),
    ] {
        let limiter = limiter(10.0, 20, 4);
        for _ in 0..4 {
            send(&limiter, Err(refused())).await.expect("admitted");
        }
        let between = Failure::new(Class::Transient, cause);
        send(&limiter, Err(between)).await.expect("admitted");
        send(&limiter, Err(refused())).await.expect("admitted");
        let next = send(&limiter, Ok(())).await;
        assert_eq!(next.is_ok(), is_proof, "{cause:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_for_room_learn_that_the_key_is_refused() {
    let limiter = limiter(10.0, 20, 1);
    for _ in 0..4 {
        send(&limiter, Err(refused())).await.expect("admitted");
    }
    let fifth = limiter.admit(None, None).await.expect("admitted");
    let waiting = limiter.admit(None, None);
    let refusing = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        fifth.settle(Err(&refused()));
    };
    let (waited, ()) = tokio::join!(waiting, refusing);
    assert_eq!(waited.err(), Some(refused()));
}

#[tokio::test(start_paused = true)]
async fn senseless_limits_are_put_right() {
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e300] {
        let limiter = limiter(rate, 0, 0);
        assert!(limiter.admit(None, None).await.is_ok(), "{rate}");
    }
}
