//! The way from a scripted peer to its client: in order, late by a round trip, no faster than a rate.

use super::record::Record;
use super::served::{HeadersMessage, ServedChain};
use super::wait::Watched;
use std::io::{self, IoSlice, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// Something for the writing thread to do.
pub(super) enum Order {
    /// Send these bytes.
    Send(Vec<u8>),
    /// Send these headers: the answer to a `getheaders`.
    Answer(Arc<ServedChain>, HeadersMessage),
    /// From here on no faster than so many bytes in a second.
    Slow(f64),
    /// Close the connection.
    Close,
}

/// An order and when it was given: what is sent is on its way from then on.
pub(super) struct Posted {
    pub(super) at: Instant,
    pub(super) order: Order,
}

/// The writing end of one connection.
pub(super) struct Link {
    pub(super) stream: TcpStream,
    pub(super) connection: usize,
    pub(super) record: Arc<Record>,
    /// Set when the connection is over, so that no wait outlives it.
    pub(super) over: Arc<Watched<bool>>,
    pub(super) round_trip: Duration,
    /// Bytes in a second.
    pub(super) rate: Option<f64>,
    /// When the line has carried what was sent before.
    pub(super) free: Instant,
}

impl Link {
    /// Carries out orders until one of them, the client or the peer's end closes the connection.
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
            // A client that is gone is no fault of the peer's; its own test will tell.
            if carried.is_err() || *self.over.lock() {
                break;
            }
        }
        // The reading thread is woken by this and notes the end.
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

    /// Notes an answer, before the end of it: what is asked after that came is noted later for certain.
    fn note(&self, answer: bool) {
        if answer {
            self.record.answered(self.connection);
        }
    }

    /// Sends pieces of up to 5 ms, each when its last bit has gone through the line.
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

    /// Waits for that moment; true if the connection ended before.
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

/// Writes both in as few system calls as it takes, so that neither is copied nor sent in a packet of its own.
fn write_both(stream: &mut TcpStream, front: &[u8], back: &[u8]) -> io::Result<()> {
    let written = stream.write_vectored(&[IoSlice::new(front), IoSlice::new(back)])?;
    let (front_written, back_written) =
        (written.min(front.len()), written.saturating_sub(front.len()));
    stream.write_all(&front[front_written..])?;
    stream.write_all(&back[back_written..])
}
