//! Connects to the first of a host's addresses that answers ("Happy Eyeballs", RFC 8305).

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// Time between two attempts. Source: RFC 8305 section 8, "Connection Attempt Delay".
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Connects to the address that answers first. IPv6 and IPv4 addresses take turns. The next attempt begins a quarter of
/// a second after the last one, or as soon as an attempt fails. The first success cancels all other attempts.
///
/// The caller sets the deadline, which must be long enough for several dead addresses.
///
/// # Errors
/// Every attempt failed (the error is that of the last one), or there is no address.
pub(super) async fn connect(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    first_of(interleaved(addresses), TcpStream::connect).await
}

/// Sorts addresses so that IPv6 and IPv4 alternate. Source: RFC 8305, section 4.
fn interleaved(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let (six, four): (Vec<SocketAddr>, Vec<SocketAddr>) =
        addresses.iter().partition(|address| address.is_ipv6());
    let turns = 0..six.len().max(four.len());
    turns.flat_map(|at| [six.get(at), four.get(at)]).flatten().copied().collect()
}

/// Returns the first successful connection. Source: RFC 8305, section 5.
async fn first_of<T, F>(
    addresses: Vec<SocketAddr>,
    connect: impl Fn(SocketAddr) -> F,
) -> io::Result<T>
where
    T: Send + 'static,
    F: Future<Output = io::Result<T>> + Send + 'static,
{
    let mut waiting = addresses.into_iter();
    // Dropping this cancels the attempts that are still running.
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

    /// Returns `count` addresses with the ports from 1 on.
    fn ports(count: u16) -> Vec<SocketAddr> {
        (1..=count).map(|port| SocketAddr::from(([127, 0, 0, 1], port))).collect()
    }

    /// Records the port of an attempt when the attempt is dropped.
    struct Dropped(Arc<Mutex<Vec<u16>>>, u16);

    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.lock().unwrap().push(self.1);
        }
    }

    /// Dials `count` addresses. `ends` returns the delay and the result of the attempt to a port. Returns the first
    /// success, or else the last error, and the time that passed.
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
        let unsorted = addresses(&["1.1.1.1:1", "2.2.2.2:1", "3.3.3.3:1", "[::1]:1", "[::2]:1"]);
        let turns = addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "3.3.3.3:1"]);
        assert_eq!(interleaved(&unsorted), turns);
        assert_eq!(interleaved(&turns[1..2]), turns[1..2]);
        assert_eq!(interleaved(&[]), []);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_does_not_answer_costs_a_quarter_of_a_second() {
        let never = Duration::from_secs(3600);
        let answers = |port| if port == 4 { (20 * MS, Ok(port)) } else { (never, Ok(port)) };
        let (won, took) = race(9, answers).await;
        assert_eq!((won.unwrap(), took), (4, 3 * 250 * MS + 20 * MS));
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_answer_wins_if_no_other_comes_before() {
        let (won, took) = race(2, |port| ((400 * MS).mul_f64(port.into()), Ok(port))).await;
        assert_eq!((won.unwrap(), took), (1, 400 * MS));
        let (won, took) = race(2, |port| (600 * MS / (2 * port).into(), Ok(port))).await;
        assert_eq!((won.unwrap(), took), (1, 300 * MS), "the second had begun 250 ms later");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_starts_the_next_attempt_and_the_last_refusal_is_the_error() {
        let refuse = |port| (10 * MS, Err(io::Error::other(format!("{port}"))));
        let (failed, took) = race(5, refuse).await;
        assert_eq!((failed.unwrap_err().to_string().as_str(), took), ("5", 50 * MS));
        let none = race(0, refuse).await.0.unwrap_err();
        assert_eq!(none.kind(), ErrorKind::NotFound);
    }

    #[tokio::test(start_paused = true)]
    async fn losing_attempts_are_dropped() {
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
        // The runtime drops an aborted task when it next runs it.
        tokio::task::yield_now().await;
        let mut dropped = dropped.lock().unwrap().clone();
        dropped.sort_unstable();
        assert_eq!(dropped, [1, 2, 3], "the others had not begun");
    }
}
