//! How often one client may ask for something, whatever sockets it asks on.
//!
//! Rates are token buckets (GCRA) of `governor`, keyed by [`ClientKey`]; an IPv6 /48 as a whole has buckets five
//! times as large, and is asked first, so that one network cannot fill the tables with its /64s. Failed claims have
//! a ledger of their own, because a claim must be refused before it fails, and that `governor` cannot say.

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use self::failures::Failures;
use crate::client_ip::ClientKey;
use crate::config::{self, Rate};
use crate::registry::Fault;

pub(crate) mod failures;
pub(crate) mod gate;
pub(crate) mod slots;

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// A WebSocket.
    Connect,
    /// A session.
    Create,
    /// To stand in a door.
    Claim,
    /// To join a meeting.
    Meet,
}

/// A request that is over the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Denied {
    /// When it is worth trying again, where that is known.
    pub(crate) retry_after: Option<Duration>,
}

/// All limits of one server that count over time.
#[derive(Debug)]
pub(crate) struct Limits<C: Clock = TokioClock> {
    clock: C,
    start: C::Instant,
    accepts: Option<Unkeyed<C>>,
    connects: Keyed<C>,
    creates: Keyed<C>,
    creates_hourly: Keyed<C>,
    claims: Keyed<C>,
    meets: Keyed<C>,
    failures: Mutex<Failures>,
}

impl<C: Clock + Clone> Limits<C> {
    /// Nobody has asked for anything yet.
    pub(crate) fn new(config: &config::Limits, clock: C) -> Self {
        let keyed = |rate, when_full| Keyed::new(rate, when_full, config.clients, &clock);
        Self {
            start: clock.now(),
            accepts: config.accepts.map(|rate| unkeyed(rate, clock.clone())),
            connects: keyed(config.connects, WhenFull::Allow),
            creates: keyed(config.creates, WhenFull::Allow),
            creates_hourly: keyed(config.creates_hourly, WhenFull::Allow),
            claims: keyed(config.claims, WhenFull::Refuse),
            meets: keyed(config.meets, WhenFull::Allow),
            failures: Mutex::new(Failures::new(config)),
            clock,
        }
    }

    /// Takes one new socket out of what the server accepts from everybody.
    ///
    /// # Errors
    /// [`Denied`] when it is used up.
    pub(crate) fn accept(&self) -> Result<(), Denied> {
        let Some(accepts) = &self.accepts else { return Ok(()) };
        accepts.check().map_err(|until| Denied { retry_after: Some(until.wait_time_from(self.clock.now())) })
    }

    /// Takes one request out of what `client` may ask for.
    ///
    /// # Errors
    /// [`Denied`] when it is used up, or when a claim comes after too many failed ones.
    pub(crate) fn take(&self, client: ClientKey, request: Request) -> Result<(), Denied> {
        match request {
            Request::Connect => self.connects.take(client, &self.clock),
            Request::Create => {
                self.creates.take(client, &self.clock)?;
                self.creates_hourly.take(client, &self.clock)
            }
            Request::Claim => {
                self.failures().check(client, self.now())?;
                self.claims.take(client, &self.clock)
            }
            Request::Meet => self.meets.take(client, &self.clock),
        }
    }

    /// Whether `client` has failed so often that no claim of it passes, whatever it does for it.
    ///
    /// # Errors
    /// [`Denied`] as [`Limits::take`] would say.
    pub(crate) fn check_failures(&self, client: ClientKey) -> Result<(), Denied> {
        self.failures().check(client, self.now())
    }

    /// Counts a fault against a client.
    pub(crate) fn charge(&self, client: ClientKey, fault: Fault) {
        self.failures().charge(client, fault, self.now());
    }

    /// Forgets the clients that are as good as new. To be called about once a minute.
    pub(crate) fn sweep(&self) {
        for keyed in [&self.connects, &self.creates, &self.creates_hourly, &self.claims, &self.meets] {
            keyed.sweep();
        }
        self.failures().sweep(self.now());
    }

    fn now(&self) -> Duration {
        self.clock.now().duration_since(self.start).into()
    }

    fn failures(&self) -> std::sync::MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One bucket for one thing: the frames of a socket, the connections of a listener.
#[derive(Debug)]
pub(crate) struct Bucket(Option<Unkeyed<TokioClock>>);

impl Bucket {
    /// A full bucket of this rate.
    pub(crate) fn new(rate: Option<Rate>) -> Self {
        Self(rate.map(|rate| unkeyed(rate, TokioClock)))
    }

    /// Takes one out of it; whether there was one.
    pub(crate) fn take(&self) -> bool {
        self.0.as_ref().is_none_or(|limiter| limiter.check().is_ok())
    }
}

/// The clock of the runtime, which tests can stop.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TokioClock;

impl Clock for TokioClock {
    type Instant = Instant;

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}

type Unkeyed<C> = RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<<C as Clock>::Instant>>;
type ByClient<C> =
    RateLimiter<ClientKey, DashMapStateStore<ClientKey>, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// One rate per client, and five times of it per IPv6 /48.
#[derive(Debug)]
struct Keyed<C: Clock> {
    limiters: Option<(ByClient<C>, ByClient<C>)>,
    when_full: WhenFull,
    most_clients: usize,
}

/// What becomes of a request when the table of clients is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WhenFull {
    /// It passes unlimited: refusing would let whoever fills the table shut everybody out.
    Allow,
    /// It is refused: unlimited claims would let whoever fills the table guess codes.
    Refuse,
}

impl<C: Clock + Clone> Keyed<C> {
    fn new(rate: Option<Rate>, when_full: WhenFull, most_clients: usize, clock: &C) -> Self {
        let limiter = |quota| RateLimiter::new(quota, DashMapStateStore::default(), clock.clone());
        let limiters = rate.map(|rate| (limiter(quota(rate, 1)), limiter(quota(rate, AGGREGATE_FACTOR))));
        Self { limiters, when_full, most_clients }
    }

    fn take(&self, client: ClientKey, clock: &C) -> Result<(), Denied> {
        let Some((of_client, of_aggregate)) = &self.limiters else { return Ok(()) };
        if of_client.len().max(of_aggregate.len()) >= self.most_clients {
            return match self.when_full {
                WhenFull::Allow => Ok(()),
                WhenFull::Refuse => Err(Denied { retry_after: None }),
            };
        }
        let denied = |until: governor::NotUntil<C::Instant>| Denied {
            retry_after: Some(until.wait_time_from(clock.now())),
        };
        if let Some(aggregate) = client.aggregate() {
            of_aggregate.check_key(&aggregate).map_err(denied)?;
        }
        of_client.check_key(&client).map_err(denied)
    }

    fn sweep(&self) {
        if let Some((of_client, of_aggregate)) = &self.limiters {
            for limiter in [of_client, of_aggregate] {
                limiter.retain_recent();
                limiter.shrink_to_fit();
            }
        }
    }
}

fn unkeyed<C: Clock>(rate: Rate, clock: C) -> Unkeyed<C> {
    RateLimiter::new(quota(rate, 1), InMemoryState::default(), clock)
}

/// A rate times `factor`, as `governor` wants it.
fn quota(rate: Rate, factor: u32) -> Quota {
    let count = rate.count.get().saturating_mul(factor);
    let burst = NonZeroU32::new(rate.burst.get().saturating_mul(factor)).unwrap_or(rate.burst);
    let period = (rate.per / count).max(Duration::from_nanos(1));
    Quota::with_period(period).unwrap_or_else(|| Quota::per_second(rate.count)).allow_burst(burst)
}

/// How much more an IPv6 /48 may do than a single /64 of it.
pub(crate) const AGGREGATE_FACTOR: u32 = 5;

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;
    use crate::config::Limits as Config;

    const SECOND: Duration = Duration::from_secs(1);
    const MINUTE: Duration = Duration::from_mins(1);
    const HOUR: Duration = Duration::from_hours(1);

    fn bench(config: &Config) -> (Limits<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        (Limits::new(config, clock.clone()), clock)
    }

    fn client(text: &str) -> ClientKey {
        ClientKey::new(text.parse().unwrap())
    }

    /// How many requests pass before the first that does not, and when that one says to come back.
    fn burst(limits: &Limits<FakeRelativeClock>, client: ClientKey, request: Request) -> (u32, Duration) {
        for count in 0.. {
            if let Err(denied) = limits.take(client, request) {
                return (count, denied.retry_after.unwrap());
            }
        }
        unreachable!("no limit")
    }

    #[test]
    fn every_request_has_the_burst_and_the_rate_of_its_setting() {
        for (request, size, interval) in [
            (Request::Connect, 60, MINUTE / 120),
            (Request::Create, 20, MINUTE / 20),
            (Request::Claim, 5, MINUTE / 10),
            (Request::Meet, 30, MINUTE / 30),
        ] {
            let (limits, clock) = bench(&Config::default());
            let someone = client("192.0.2.1");
            assert_eq!(burst(&limits, someone, request), (size, interval), "{request:?}");
            clock.advance(interval);
            assert_eq!(burst(&limits, someone, request).0, 1, "{request:?} after its interval");
            assert_eq!(burst(&limits, client("192.0.2.2"), request).0, size, "{request:?} of another");
        }
    }

    #[test]
    fn creates_have_an_hourly_limit_beside_the_one_per_minute() {
        let (limits, clock) = bench(&Config::default());
        let hour = || {
            let minutes = (0..60).map(|_| {
                clock.advance(MINUTE);
                burst(&limits, client("192.0.2.1"), Request::Create).0
            });
            minutes.sum::<u32>()
        };
        assert_eq!(hour(), 120 + 59 * 2, "the burst, and what comes back meanwhile");
        assert_eq!(hour(), 120, "the rate");
    }

    #[test]
    fn addresses_of_one_ipv6_64_share_a_bucket() {
        let (limits, _clock) = bench(&Config::default());
        let passed = (0..0x1_0000_u32)
            .filter(|host| limits.take(client(&format!("2001:db8:1:1::{host:x}")), Request::Claim).is_ok());
        assert_eq!(passed.count(), 5);
    }

    #[test]
    fn an_ipv6_48_has_five_buckets() {
        let (limits, _clock) = bench(&Config::default());
        let passed = (0..0x1_0000_u32)
            .filter(|net| limits.take(client(&format!("2001:db8:1:{net:x}::1")), Request::Claim).is_ok());
        assert_eq!(passed.count(), 25);
        assert!(limits.take(client("2001:db8:2::1"), Request::Claim).is_ok(), "another /48");
    }

    #[test]
    fn a_mapped_address_shares_the_bucket_of_its_ipv4_address() {
        let (limits, _clock) = bench(&Config::default());
        burst(&limits, client("192.0.2.1"), Request::Claim);
        assert!(limits.take(client("::ffff:192.0.2.1"), Request::Claim).is_err());
    }

    #[test]
    fn claims_are_refused_after_five_failures_however_slowly_they_come() {
        let (limits, clock) = bench(&Config::default());
        let someone = client("192.0.2.1");
        for _ in 0..5 {
            assert_eq!(limits.take(someone, Request::Claim), Ok(()));
            limits.charge(someone, Fault::FailedClaim);
            clock.advance(MINUTE);
        }
        let denied = Denied { retry_after: Some(5 * MINUTE) };
        assert_eq!(limits.take(someone, Request::Claim), Err(denied));
        assert_eq!(limits.take(client("192.0.2.2"), Request::Claim), Ok(()));
        assert_eq!(limits.take(someone, Request::Create), Ok(()), "only claims are");
    }

    #[test]
    fn a_full_table_refuses_claims_and_lets_the_rest_pass() {
        let config = Config { clients: 10, ..Config::default() };
        let (limits, clock) = bench(&config);
        for host in 0..10 {
            assert_eq!(limits.take(client(&format!("192.0.2.{host}")), Request::Claim), Ok(()));
            assert_eq!(limits.take(client(&format!("192.0.2.{host}")), Request::Meet), Ok(()));
        }
        let late = client("198.51.100.1");
        assert_eq!(limits.take(late, Request::Claim), Err(Denied { retry_after: None }));
        assert_eq!(limits.take(late, Request::Meet), Ok(()));
        clock.advance(HOUR);
        limits.sweep();
        assert_eq!(limits.take(late, Request::Claim), Ok(()), "the sweep made room");
    }

    #[test]
    fn new_sockets_are_limited_for_all_together() {
        let (limits, clock) = bench(&Config::default());
        assert_eq!((0..2000).filter(|_| limits.accept().is_ok()).count(), 1000);
        clock.advance(SECOND);
        assert_eq!((0..2000).filter(|_| limits.accept().is_ok()).count(), 1000);
    }

    #[test]
    fn a_limit_that_is_off_limits_nothing() {
        let config = Config { claims: None, accepts: None, ..Config::default() };
        let (limits, _clock) = bench(&config);
        for _ in 0..10_000 {
            assert_eq!(limits.take(client("192.0.2.1"), Request::Claim), Ok(()));
            assert_eq!(limits.accept(), Ok(()));
        }
    }
}
