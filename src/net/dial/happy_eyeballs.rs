//! Connecting to whichever of a host's addresses answers first ("Happy Eyeballs").

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// From one attempt to the next. Source: RFC 8305 section 8, "Connection Attempt Delay".
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Connects to the address that answers first. IPv6 and IPv4 take turns; the next attempt begins a quarter of a second
/// after the last one, or as soon as that has failed, and whoever answers ends all others.
///
/// There is no deadline in here: with many dead addresses the caller's own must be long enough.
///
/// # Errors
/// That of the attempt that failed last; there was no address.
pub(super) async fn connect(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    first_of(interleaved(addresses), TcpStream::connect).await
}

/// Source: RFC 8305 section 4, with one address of the first family (IPv6).
fn interleaved(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let (six, four): (Vec<SocketAddr>, Vec<SocketAddr>) =
        addresses.iter().partition(|address| address.is_ipv6());
    let turns = 0..six.len().max(four.len());
    turns.flat_map(|at| [six.get(at), four.get(at)]).flatten().copied().collect()
}

/// Source: RFC 8305 section 5.
async fn first_of<T, F>(
    addresses: Vec<SocketAddr>,
    connect: impl Fn(SocketAddr) -> F,
) -> io::Result<T>
where
    T: Send + 'static,
    F: Future<Output = io::Result<T>> + Send + 'static,
{
    let mut waiting = addresses.into_iter();
    // Dropped with those that are still trying.
    let mut attempts = JoinSet::new();
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "no address to connect to");
    let mut next = Instant::now();
    loop {
        tokio::select! {
            biased;
            Some(ended) = attempts.join_next() => {
                match ended.unwrap_or_else(|broken| Err(io::Error::other(broken))) {
                    Ok(connected) => return Ok(connected),
                    Err(error) => failure = error,
                }
                next = Instant::now();
            }
            () = sleep_until(next), if waiting.len() > 0 => {
                if let Some(address) = waiting.next() {
                    attempts.spawn(connect(address));
                }
                next = Instant::now() + ATTEMPT_DELAY;
            }
            else => return Err(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{first_of, interleaved};
    use std::io::{self, ErrorKind};
    use std::net::SocketAddr;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;
    use tokio::time::{Instant, sleep};

    const MS: Duration = Duration::from_millis(1);

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    /// So many addresses, by their ports from 1 on.
    fn ports(count: u16) -> Vec<SocketAddr> {
        (1..=count).map(|port| SocketAddr::from(([127, 0, 0, 1], port))).collect()
    }

    /// Notes that an attempt was given up.
    struct Dropped(Arc<Mutex<Vec<u16>>>, u16);

    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.lock().unwrap().push(self.1);
        }
    }

    /// Dials `count` addresses, each of which ends after its time with its result; who won, and after how long.
    async fn race(
        count: u16,
        ends: impl Fn(u16) -> (Duration, io::Result<u16>),
    ) -> (io::Result<u16>, Duration) {
        let start = Instant::now();
        let won = first_of(ports(count), |address| {
            let (after, result) = ends(address.port());
            async move {
                sleep(after).await;
                result
            }
        });
        (won.await, start.elapsed())
    }

    #[test]
    fn families_take_turns_and_keep_their_order() {
        let given = addresses(&["1.1.1.1:1", "2.2.2.2:1", "3.3.3.3:1", "[::1]:1", "[::2]:1"]);
        let turns = addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "3.3.3.3:1"]);
        assert_eq!(interleaved(&given), turns);
        assert_eq!(interleaved(&turns[1..2]), turns[1..2]);
        assert_eq!(interleaved(&[]), []);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_keeps_silent_costs_a_quarter_of_a_second() {
        let never = Duration::from_secs(3600);
        let answers = |port| if port == 4 { (20 * MS, Ok(port)) } else { (never, Ok(port)) };
        let (won, took) = race(9, answers).await;
        assert_eq!((won.unwrap(), took), (4, 3 * 250 * MS + 20 * MS));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_answers_late_still_wins_if_nobody_else_answers_before() {
        let (won, took) = race(2, |port| ((400 * MS).mul_f64(port.into()), Ok(port))).await;
        assert_eq!((won.unwrap(), took), (1, 400 * MS));
        let (won, took) = race(2, |port| (600 * MS / (2 * port).into(), Ok(port))).await;
        assert_eq!((won.unwrap(), took), (1, 300 * MS), "the second had begun 250 ms later");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_brings_the_next_at_once_and_the_last_one_is_the_answer() {
        let refuse = |port| (10 * MS, Err(io::Error::other(format!("{port}"))));
        let (failed, took) = race(5, refuse).await;
        assert_eq!((failed.unwrap_err().to_string().as_str(), took), ("5", 50 * MS));
        let none = race(0, refuse).await.0.unwrap_err();
        assert_eq!(none.kind(), ErrorKind::NotFound);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_loses_is_dropped() {
        let dropped = Arc::new(Mutex::new(Vec::new()));
        let won = first_of(ports(5), |address| {
            let (port, note) = (address.port(), Arc::clone(&dropped));
            async move {
                let _note = Dropped(note, port);
                sleep(if port == 3 { MS } else { Duration::from_secs(60) }).await;
                Ok::<u16, io::Error>(port)
            }
        });
        assert_eq!(won.await.unwrap(), 3);
        // What is aborted is dropped when its task is next looked at.
        tokio::task::yield_now().await;
        let mut dropped = dropped.lock().unwrap().clone();
        dropped.sort_unstable();
        assert_eq!(dropped, [1, 2, 3], "the others had not begun");
    }
}
