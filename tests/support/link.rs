//! Sends messages from a scripted peer to its client, in order, with a delay and at a limited rate.

use super::record::Record;
use super::served::{HeadersMessage, ServedChain};
use super::wait::Watched;
use std::io::{self, IoSlice, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// What the writing thread is to do.
pub(super) enum Order {
    /// Send these bytes.
    Send(Vec<u8>),
    /// Send these headers: the answer to a `getheaders`.
    Answer(Arc<ServedChain>, HeadersMessage),
    /// Send at most this many bytes per second from now on.
    Slow(f64),
    /// Close the connection.
    Close,
}

/// An order, and when it was given. The delay starts then.
pub(super) struct Posted {
    pub(super) at: Instant,
    pub(super) order: Order,
}

/// The writing end of one connection.
pub(super) struct Link {
    pub(super) stream: TcpStream,
    pub(super) connection: usize,
    pub(super) record: Arc<Record>,
    /// Set when the connection has ended, which ends all waits.
    pub(super) over: Arc<Watched<bool>>,
    pub(super) round_trip: Duration,
    /// Bytes per second.
    pub(super) rate: Option<f64>,
    /// When everything before will have been sent at this rate.
    pub(super) free: Instant,
}

impl Link {
    /// Carries out orders until an order, the client or the end of the peer closes the connection.
    pub(super) fn run(mut self, orders: &Receiver<Posted>) {
        for posted in orders {
            let carried = match posted.order {
                Order::Send(bytes) => self.send(posted.at, &bytes, &[], false),
                Order::Answer(chain, message) => {
                    let entries = &chain.entries()[message.entries];
                    self.send(posted.at, &message.front, entries, true)
                }
                Order::Slow(rate) => {
                    self.rate = Some(rate);
                    Ok(())
                }
                Order::Close => {
                    self.wait_until(self.free.max(posted.at) + self.round_trip);
                    break;
                }
            };
            // The client may have disconnected, which its test will report.
            if carried.is_err() || *self.over.lock() {
                break;
            }
        }
        // This wakes the reading thread, which records the end.
        self.stream.shutdown(Shutdown::Both).ok();
    }

    fn send(&mut self, at: Instant, front: &[u8], back: &[u8], answer: bool) -> io::Result<()> {
        self.free = self.free.max(at);
        match self.rate {
            None => {
                self.wait_until(self.free + self.round_trip);
                self.note(answer);
                write_both(&mut self.stream, front, back)
            }
            Some(rate) => {
                self.send_slowly(rate, front)?;
                self.note(answer);
                self.send_slowly(rate, back)
            }
        }
    }

    /// Records an answer before its end is sent, so that a request that follows it is certainly recorded later.
    fn note(&self, answer: bool) {
        if answer {
            self.record.answered(self.connection);
        }
    }

    /// Sends pieces of up to 5 ms, each when its last bit would arrive at this rate.
    fn send_slowly(&mut self, rate: f64, bytes: &[u8]) -> io::Result<()> {
        for piece in bytes.chunks(piece_len(rate)) {
            let size = u32::try_from(piece.len()).expect("pieces are small");
            self.free += Duration::from_secs_f64(f64::from(size) / rate);
            if self.wait_until(self.free + self.round_trip) {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            self.stream.write_all(piece)?;
        }
        Ok(())
    }

    /// Waits until a moment. Returns true if the connection ends before that moment.
    fn wait_until(&self, moment: Instant) -> bool {
        moment > Instant::now() && self.over.wait_until(moment, |over| over.then_some(())).is_some()
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to what both types hold"
)]
fn piece_len(rate: f64) -> usize {
    (rate / 200.0).clamp(1.0, 65536.0) as usize
}

/// Writes both parts together, so that neither is copied nor sent in a packet of its own.
fn write_both(stream: &mut TcpStream, front: &[u8], back: &[u8]) -> io::Result<()> {
    let written = stream.write_vectored(&[IoSlice::new(front), IoSlice::new(back)])?;
    let (front_written, back_written) =
        (written.min(front.len()), written.saturating_sub(front.len()));
    stream.write_all(&front[front_written..])?;
    stream.write_all(&back[back_written..])
}
