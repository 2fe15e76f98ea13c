use proptest::prelude::*;

use super::*;

const MINUTE: i64 = 60;

const TERMS: BatchTerms = BatchTerms {
    opened_at: Timestamp::UNIX_EPOCH,
    limit: Duration::from_secs(30 * 60),
    window: Duration::from_secs(60),
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn measured(seconds: i64, counts: [u64; 5]) -> BatchMeasurement {
    let day = "1970-01-01".parse().unwrap();
    BatchMeasurement { day, at: at(seconds), counts: StatusCounts::new(counts) }
}

/// A clock after measurements of so many SCHEDULED and PROCESSED payments.
fn after(measurements: &[(i64, u64, u64)]) -> BatchClock {
    let mut clock = BatchClock::default();
    for &(seconds, scheduled, processed) in measurements {
        clock.note(measured(seconds, [scheduled, 0, processed, 0, 0]));
    }
    clock
}

fn read(measurements: &[(i64, u64, u64)]) -> BatchReading {
    after(measurements).read(TERMS).unwrap()
}

/// A batch of which so many payments a second end, by the second since it began, until all have;
/// its measurements a minute apart from `first` on, and when it ended.
fn batch(payments: u64, first: i64, rate: impl Fn(i64) -> f64) -> (Vec<(i64, u64, u64)>, i64) {
    let (mut ended, mut measurements, mut second) = (0.0, Vec::new(), 0);
    loop {
        let processed = (ended as u64).min(payments);
        if second % MINUTE == first {
            measurements.push((second, payments - processed, processed));
        }
        if processed == payments {
            return (measurements, second);
        }
        ended += rate(second);
        second += 1;
    }
}

#[test]
fn the_forecast_of_a_ten_minute_batch_is_within_a_tenth_from_minute_three_on() {
    let shapes: [fn(f64) -> f64; 4] = [
        |_| 1.0,
        |minute| 0.95 + 0.01 * minute,
        |minute| 1.05 - 0.01 * minute,
        |minute| 1.0 + 0.08 * (minute * 0.9).sin(),
    ];
    for (shape, first) in shapes.iter().flat_map(|shape| (0..60).map(move |at| (shape, at))) {
        let rate = |second: i64| 166.7 * shape(second as f64 / 60.0);
        let (measurements, finish) = batch(100_000, first, rate);
        assert!((9 * MINUTE..=11 * MINUTE).contains(&finish), "{finish}");
        for until in 1..=measurements.len() {
            let reading = read(&measurements[..until]);
            let when = measurements[until - 1].0;
            if when + MINUTE <= 3 * MINUTE {
                continue;
            }
            let forecast = reading.finish.unwrap().duration_since(at(finish)).as_secs_f64();
            assert!(forecast.abs() <= finish as f64 / 10.0, "{forecast} at {when} of {finish}");
            assert!(reading.reserve().unwrap() > 0.0, "there is time enough");
        }
    }
}

#[test]
fn a_miss_is_announced_ten_minutes_before_the_deadline_when_the_rate_halves_early() {
    for first in 0..60 {
        // 20 minutes at the full rate, 36 when it halves after four.
        let halved = |second| if second < 4 * MINUTE { 100.0 } else { 50.0 };
        let (measurements, finish) = batch(120_000, first, halved);
        assert!(finish > 30 * MINUTE);
        let announced = (1..=measurements.len()).find(|until| {
            read(&measurements[..*until]).reserve().is_some_and(|reserve| reserve < 0.0)
        });
        let announced = measurements[announced.unwrap() - 1].0;
        assert!((4 * MINUTE..=7 * MINUTE).contains(&announced), "announced at {announced}");
        let (measurements, _) = batch(120_000, first, |_| 100.0);
        for until in 1..=measurements.len() {
            assert!(read(&measurements[..until]).reserve().is_none_or(|reserve| reserve > 0.0));
        }
    }
}

#[test]
fn a_batch_is_due_half_an_hour_after_its_opening_or_after_its_last_insert_if_later() {
    let deadline = |measurements: &[(i64, u64, u64)], opened_at| {
        let terms = BatchTerms { opened_at: at(opened_at), ..TERMS };
        let deadline = after(measurements).read(terms).unwrap().deadline;
        deadline.map(|deadline| deadline.as_second() / MINUTE)
    };
    assert_eq!(deadline(&[(30, 0, 0)], 60), None);
    assert_eq!(deadline(&[(30, 9, 0)], 60), Some(31));
    assert_eq!(deadline(&[(30, 9, 0), (300, 5, 4)], 60), Some(31));
    assert_eq!(deadline(&[(30, 9, 0), (300, 5, 4), (360, 6, 4)], 60), Some(36));
    let resumed = BatchClock::resumed(measured(600, [9, 0, 0, 0, 0]), Some(at(120)));
    assert_eq!(resumed.read(TERMS).unwrap().deadline, Some(at(32 * MINUTE)));
}

#[test]
fn of_a_day_without_payments_only_that_is_known() {
    assert_eq!(BatchClock::default().read(TERMS), None);
    let reading = read(&[(0, 0, 0), (60, 0, 0)]);
    assert_eq!((reading.rate, reading.required_rate), (Some(0.0), Some(0.0)));
    assert_eq!((reading.finish, reading.deadline, reading.reserve()), (None, None, None));
}

#[test]
fn a_batch_whose_payments_have_all_ended_keeps_its_finish_and_its_reserve() {
    let done = [(0, 60, 0), (60, 20, 40), (120, 0, 60), (180, 0, 60), (3_600, 0, 60)];
    for until in 3..=done.len() {
        let reading = read(&done[..until]);
        assert_eq!((reading.finish, reading.required_rate), (Some(at(120)), Some(0.0)));
        assert_eq!(reading.reserve(), Some(1_680.0));
    }
    // More that came and went between two measurements.
    assert_eq!(read(&[(0, 0, 60), (60, 0, 90)]).finish, Some(at(60)));
}

#[test]
fn a_batch_that_stands_still_ends_a_day_ahead_and_one_that_is_not_open_yet_at_no_known_time() {
    let still = [(0, 60, 5), (60, 60, 5)];
    let reading = read(&still);
    assert_eq!((reading.rate, reading.finish), (Some(0.0), Some(at(60 + 86_400))));
    assert_eq!(reading.reserve(), Some(1_800.0 - 60.0 - 86_400.0));
    let later = BatchTerms { opened_at: at(61), ..TERMS };
    let reading = after(&still).read(later).unwrap();
    assert_eq!((reading.rate, reading.finish, reading.reserve()), (None, None, None));
    // Past the deadline no rate is enough.
    assert_eq!(read(&[(0, 60, 0), (1_800, 50, 10)]).required_rate, None);
}

#[test]
fn a_rate_is_that_of_the_last_minute_and_does_not_begin_before_the_work() {
    let rate = |measurements: &[(i64, u64, u64)]| read(measurements).rate;
    assert_eq!(rate(&[(0, 900, 0), (60, 600, 300), (120, 480, 420)]), Some(2.0));
    // Every ten seconds: of the oldest, and then of the one nearest to a minute.
    let often: Vec<_> = (0..12).map(|n| (10 * n, 1_000 - 10 * n as u64, 10 * n as u64)).collect();
    assert_eq!((rate(&often[..3]), rate(&often)), (Some(1.0), Some(1.0)));
    // Nothing was open two minutes ago, and payments were inserted since.
    assert_eq!(rate(&[(0, 0, 100), (120, 500, 160)]), None);
    assert_eq!(rate(&[(0, 0, 100), (120, 500, 160), (180, 380, 280)]), Some(2.0));
    // Not counted for an hour.
    assert_eq!(rate(&[(0, 900, 0), (3_600, 600, 300)]), None);
    // A replay takes an ended payment back.
    assert_eq!(rate(&[(0, 5, 10), (60, 6, 9)]), Some(0.0));
}

#[test]
fn a_clock_that_jumps_back_and_a_new_day_begin_the_rate_anew() {
    let mut clock = after(&[(3_600, 900, 0), (3_660, 600, 300)]);
    clock.note(measured(60, [500, 0, 400, 0, 0]));
    let reading = clock.read(TERMS).unwrap();
    assert_eq!((reading.rate, reading.deadline), (None, Some(at(60 + 1_800))));
    clock.note(measured(120, [380, 0, 520, 0, 0]));
    assert_eq!(clock.read(TERMS).unwrap().rate, Some(2.0));
    let next = BatchMeasurement { day: "1970-01-02".parse().unwrap(), ..measured(180, [0; 5]) };
    clock.note(next);
    let reading = clock.read(TERMS).unwrap();
    assert_eq!((reading.rate, reading.deadline, clock.grew_at()), (None, None, None));
}

proptest! {
    #[test]
    fn whatever_is_measured_all_figures_are_numbers_and_agree_with_each_other(
        measurements in prop::collection::vec(
            (-100_000_i64..100_000, prop::array::uniform5(0..=u64::MAX), 0..2_u8), 1..20),
        opened_at in -100_000_i64..100_000,
        limit in 0..=u64::MAX,
        window in 0..100_000_u64,
    ) {
        let mut clock = BatchClock::default();
        for (seconds, counts, day) in measurements {
            let one = measured(seconds, counts);
            let day = one.day.days_after(day.into());
            clock.note(BatchMeasurement { day, ..one });
            let terms = BatchTerms {
                opened_at: at(opened_at),
                limit: Duration::from_secs(limit),
                window: Duration::from_secs(window),
            };
            let reading = clock.read(terms).unwrap();
            for figure in [reading.rate, reading.required_rate] {
                prop_assert!(figure.is_none_or(|figure| figure.is_finite() && figure >= 0.0));
            }
            prop_assert_eq!(reading.measured.at, at(seconds));
            if let Some(finish) = reading.finish {
                let ahead = finish.duration_since(at(seconds)).as_secs_f64();
                prop_assert!(ahead <= FARTHEST_FORECAST.as_secs_f64());
                prop_assert!(reading.measured.counts.open() == 0 || ahead >= 0.0);
                prop_assert!(reading.deadline.is_some());
            }
            prop_assert!(reading.reserve().is_none_or(f64::is_finite));
            if let Some(deadline) = reading.deadline {
                prop_assert!(deadline >= at(opened_at));
            }
        }
    }
}
