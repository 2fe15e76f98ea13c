//! The transaction service: whether it answers, how fast, and whether enough calls go out.

use std::time::{Duration, Instant};

use dispatcher::CallLimits;
use domain::{KeyQuery, KeyStatus};
use indicatif::HumanCount;
use jiff::Timestamp;
use shared::date_header::{parse_date, seconds_ahead};
use shared::http::chain;
use shared::transaction::{TransactionClient, TransactionService, TransactionSettings};

use super::check::{Check, CheckResult};
use super::format::{several, time};
use super::load::BatchLoad;

/// Questions that are asked: the first also connects.
const QUESTIONS: usize = 5;

/// What the service has shown.
#[derive(Debug, Clone)]
pub(super) struct ServiceProbe {
    /// The middle of the times it took to answer, or why it did not.
    pub(super) latency: Result<Duration, String>,
    /// How far its clock is ahead of this machine's, in seconds.
    pub(super) ahead: Option<i64>,
}

/// Asks for keys that nobody has: an answer that says so comes from the service itself, and
/// nothing is changed by it. Stops at the first question without an answer.
pub(super) async fn ask(settings: &TransactionSettings) -> ServiceProbe {
    let client = match TransactionClient::new(settings) {
        Ok(client) => client,
        Err(error) => return ServiceProbe { latency: Err(chain(&error)), ahead: None },
    };
    let mut times = Vec::with_capacity(QUESTIONS);
    for _ in 0..QUESTIONS {
        let asked_at = Instant::now();
        match client.find(KeyQuery::unknown_key()).await {
            KeyStatus::Nothing => times.push(asked_at.elapsed()),
            KeyStatus::NoAnswer { reason, .. } => {
                return ServiceProbe { latency: Err(reason), ahead: None };
            }
            KeyStatus::Settled(_) | KeyStatus::UnderWay | KeyStatus::Rejected { .. } => {
                let reason = "it knows a payment that nobody has: is this the transaction service?";
                return ServiceProbe { latency: Err(reason.to_owned()), ahead: None };
            }
        }
    }
    times.sort_unstable();
    ServiceProbe { latency: Ok(times[QUESTIONS / 2]), ahead: ahead(settings).await.ok().flatten() }
}

/// Any answer has a `Date` header, whatever else it says.
async fn ahead(settings: &TransactionSettings) -> reqwest::Result<Option<i64>> {
    let client = shared::http::client(&settings.url, settings.proxy.as_ref())?
        .timeout(settings.timeout)
        .build()?;
    let answer = client.head(settings.url.clone()).send().await?;
    let date = answer.headers().get(reqwest::header::DATE).and_then(|date| date.to_str().ok());
    Ok(date.and_then(parse_date).map(|date| seconds_ahead(date, Timestamp::now())))
}

/// Whether it answers in time.
pub(super) fn evaluate(facts: &ServiceProbe, settings: &TransactionSettings) -> CheckResult {
    let check = Check::TransactionService;
    let latency = match &facts.latency {
        Ok(latency) => *latency,
        Err(reason) => {
            let remedy = format!(
                "start it, or open the way to {}",
                settings.url.origin().ascii_serialization()
            );
            return CheckResult::no_go(check, format!("no answer: {reason}"), "an answer", remedy);
        }
    };
    let figure = format!("answers in {}", time(latency));
    let needed =
        format!("at most half of DUEFLOW_TRANSACTION_TIMEOUT ({})", time(settings.timeout));
    if latency <= settings.timeout / 2 {
        return CheckResult::go(check, figure, needed);
    }
    let remedy = "find out why it is slow: answers after the timeout cost a question each";
    CheckResult::warn(check, figure, needed, remedy)
}

/// Whether so many dispatchers can have enough calls under way (Little's law: calls under way
/// = rate × latency).
pub(super) fn evaluate_concurrency(
    latency: Duration,
    limits: CallLimits,
    dispatchers: u32,
    load: &BatchLoad,
) -> CheckResult {
    let check = Check::Concurrency;
    let calls = (load.rate() * latency.as_secs_f64()).ceil() as u64;
    let allowed = limits.most as u64 * u64::from(dispatchers);
    let rate = load.rate().ceil() as u64;
    let needed = format!(
        "{} payments/s × {} = {} at once, if a submission takes as long as a question",
        HumanCount(rate),
        time(latency),
        HumanCount(calls)
    );
    let who = several(dispatchers.into(), "dispatcher");
    let figure = format!("{who} × {} calls at once = {}", limits.most, HumanCount(allowed));
    if let Some(limit) = limits.rate {
        let most = u64::from(limit) * u64::from(dispatchers);
        if most < rate {
            let figure = format!(
                "{who} × DUEFLOW_DISPATCHER_RATE_LIMIT {limit} = {} calls/s",
                HumanCount(most)
            );
            let needed = format!("{} calls/s", HumanCount(rate));
            let remedy = "raise the limit or run more dispatchers (--dispatchers says how many)";
            return CheckResult::no_go(check, figure, needed, remedy);
        }
    }
    if allowed >= calls {
        return CheckResult::go(check, figure, needed);
    }
    let remedy = "run more dispatchers (--dispatchers says how many) or raise \
                  DUEFLOW_DISPATCHER_CONCURRENCY";
    CheckResult::warn(check, figure, needed, remedy)
}

#[cfg(test)]
mod tests {
    use shared::transaction::ContractSettings;

    use super::super::check::Severity;
    use super::super::load::tests::a_million;
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    fn settings() -> TransactionSettings {
        TransactionSettings {
            url: "https://transactions.bank.internal/base".parse().unwrap(),
            proxy: None,
            timeout: 5_000 * MILLI,
            connect_timeout: 2_000 * MILLI,
            contract: ContractSettings::default(),
        }
    }

    #[test]
    fn a_service_must_answer_and_should_within_half_of_the_timeout() {
        for (latency, severity) in [
            (Ok(2_500 * MILLI), Severity::Go),
            (Ok(2_501 * MILLI), Severity::Warn),
            (Err("connection refused".to_owned()), Severity::NoGo),
        ] {
            let facts = ServiceProbe { latency, ahead: None };
            assert_eq!(evaluate(&facts, &settings()).severity, severity, "{facts:?}");
        }
    }

    #[test]
    fn enough_calls_must_be_allowed_at_once_and_per_second() {
        // 555.6 a second at 500 ms: 278 under way.
        for (most, rate, dispatchers, severity) in [
            (278, None, 1, Severity::Go),
            (277, None, 1, Severity::Warn),
            (139, None, 2, Severity::Go),
            (278, Some(556), 1, Severity::Go),
            (278, Some(555), 1, Severity::NoGo),
            (278, Some(278), 2, Severity::Go),
        ] {
            let limits = CallLimits { most, least: 1, rate };
            let result = evaluate_concurrency(500 * MILLI, limits, dispatchers, &a_million());
            assert_eq!(result.severity, severity, "{result:?}");
        }
    }
}
