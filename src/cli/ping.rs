//! `lightclient ping` measures the round-trip times of a peer.

use super::network_args::{ProxyAndDnsArgs, check_reach, peer_options};
use super::runtime::{block_on, endings};
use super::value_parsers::at_least_one;
use super::{CliError, CommandContext};
use crate::config::{HostPort, Layer};
use crate::format::{counted, milliseconds, to_u64};
use crate::node::shutdown::EndSignal;
use crate::node::{HandshakeInfo, PeerOptions, PingConnection, PingError, PingOutcome};
use crate::output::Output;
use crate::wire::safe_text;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

const EXAMPLES: &str = "\
Examples:
  lightclient ping 192.168.1.5                Until Ctrl-C, then the summary
  lightclient ping -c 4 seed.example.org      Four pings
  lightclient ping -c 1 --json [::1]:8333     For a script

Exit codes: 0 at least one answer, 1 no answer or disconnected, 3 the peer cannot be used, 130 Ctrl-C.";

/// The arguments of `ping`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PingArgs {
    /// The peer; the default port is the network's
    #[arg(value_name = "HOST[:PORT]")]
    peer: HostPort,
    /// Stop after this many pings [default: run until interrupted]
    #[arg(short, long, value_name = "N", value_parser = at_least_one)]
    #[arg(allow_negative_numbers = true)]
    count: Option<u64>,
    /// Seconds from one ping to the next
    #[arg(short, long, value_name = "SECS", default_value = "1", value_parser = interval)]
    #[arg(allow_negative_numbers = true)]
    interval: Duration,
    /// Seconds to wait for the connection, and for each answer
    #[arg(long, value_name = "SECS", default_value_t = 10)]
    #[arg(value_parser = timeout, allow_negative_numbers = true)]
    timeout: u64,
    #[command(flatten)]
    reach: ProxyAndDnsArgs,
}

impl PingArgs {
    /// Returns the settings that these options set.
    pub(super) fn layer(&self) -> Layer {
        self.reach.layer()
    }
}

/// What `ping` prints with `--json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// The address that was dialled.
    pub address: String,
    /// The peer's user agent.
    pub user_agent: String,
    /// Number of pings sent.
    pub sent: u64,
    /// Number of pings answered.
    pub received: u64,
    /// The shortest round trip in milliseconds; `None` without an answer.
    pub min_ms: Option<f64>,
    /// The mean round trip in milliseconds.
    pub avg_ms: Option<f64>,
    /// The longest round trip in milliseconds.
    pub max_ms: Option<f64>,
}

/// Parses a decimal number of seconds. The lower limit prevents a flood.
fn interval(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.01..=86_400.0).contains(seconds));
    let seconds = seconds.ok_or("expected seconds from 0.01 to 86400")?;
    Ok(Duration::from_secs_f64(seconds))
}

/// Parses whole seconds, from 1 to 3600.
fn timeout(text: &str) -> Result<u64, String> {
    let seconds = text.parse().ok().filter(|seconds| (1..=3600).contains(seconds));
    seconds.ok_or_else(|| "expected whole seconds from 1 to 3600".to_owned())
}

/// Runs the command.
///
/// # Errors
/// The peer cannot be used, disconnected, or answered no ping.
pub(super) fn run(args: &PingArgs, context: &mut CommandContext) -> Result<(), CliError> {
    let options = peer_options(&context.config)?;
    check_reach(&args.peer, &context.config)?;
    let address = args.peer.with_default_port(context.config.params.port);
    block_on(ping(args, &options, &address, &mut context.out))?
}

fn unusable(error: &PingError, options: &PeerOptions) -> CliError {
    let network = options.params.network;
    CliError::NoPeer(if error.is_proxy_fault {
        error.reason.clone()
    } else {
        format!("{error}: check the address, and that it belongs to a {network} peer")
    })
}

async fn ping(
    args: &PingArgs,
    options: &PeerOptions,
    address: &str,
    out: &mut Output,
) -> Result<(), CliError> {
    let mut signal = endings()?;
    let timeout = Duration::from_secs(args.timeout);
    let (mut pinging, handshake) = tokio::select! {
        ending = signal() => return Err(CliError::Interrupted(ending)),
        started = PingConnection::start(options, address, args.interval, timeout) => {
            started.map_err(|error| unusable(&error, options))?
        }
    };
    print_handshake(address, &handshake, out)?;
    let started = Instant::now();
    let mut times = Vec::new();
    let end = loop {
        if args.count.is_some_and(|count| pinging.sent() >= count) {
            break PingEnd::Done;
        }
        tokio::select! {
            ending = signal() => break PingEnd::Interrupted(ending),
            pinged = pinging.next() => match pinged {
                Ok(pinged) => record(pinged, address, pinging.sent(), args.timeout, &mut times, out)?,
                Err(error) => break PingEnd::Disconnected(error),
            },
        }
    };
    let summary = summary(address, &handshake, pinging.sent(), &times);
    print(&summary, started.elapsed(), out)?;
    check_success(end, &summary)
}

/// Why the pinging ended.
enum PingEnd {
    Done,
    Interrupted(EndSignal),
    Disconnected(PingError),
}

/// Prints the peer's user agent, protocol version, height and services.
fn print_handshake(
    address: &str,
    handshake: &HandshakeInfo,
    out: &mut Output,
) -> Result<(), CliError> {
    if !out.is_json() {
        let HandshakeInfo { version, services, user_agent, height, .. } = handshake;
        let user_agent = safe_text(user_agent);
        let services = match services.join("|") {
            services if services.is_empty() => "no services".to_owned(),
            services => services,
        };
        out.line(&format!(
            "PING {address}: {user_agent}, protocol {version}, height {height}, {services}"
        ))?;
        out.flush()?;
    }
    Ok(())
}

/// Prints the result of a ping, and adds the round-trip time to `times` if the peer answered.
fn record(
    pinged: PingOutcome,
    address: &str,
    seq: u64,
    limit: u64,
    times: &mut Vec<Duration>,
    out: &mut Output,
) -> Result<(), CliError> {
    let line = match pinged {
        PingOutcome::Answered(time) => {
            times.push(time);
            format!("pong from {address}: seq={seq} time={} ms", milliseconds(time))
        }
        PingOutcome::Lost => format!("no pong from {address}: seq={seq} within {limit} s"),
    };
    if !out.is_json() {
        out.line(&line)?;
        // The user watches the pings as they are answered.
        out.flush()?;
    }
    Ok(())
}

fn summary(address: &str, handshake: &HandshakeInfo, sent: u64, times: &[Duration]) -> Summary {
    let total: Duration = times.iter().sum();
    let mean = u32::try_from(times.len()).ok().and_then(|count| total.checked_div(count));
    let ms = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
    Summary {
        address: address.to_owned(),
        user_agent: handshake.user_agent.clone(),
        sent,
        received: to_u64(times.len()),
        min_ms: times.iter().min().copied().map(ms),
        avg_ms: mean.map(ms),
        max_ms: times.iter().max().copied().map(ms),
    }
}

fn print(summary: &Summary, elapsed: Duration, out: &mut Output) -> Result<(), CliError> {
    if out.is_json() {
        return Ok(out.json(summary)?);
    }
    let Summary { address, sent, received, .. } = summary;
    let lost = percent_lost(*sent, *received);
    out.line(&format!(
        "\n--- {address} ping statistics ---\n{} sent, {received} answered, {lost} % lost, time {} ms",
        counted(*sent, "ping"),
        elapsed.as_millis()
    ))?;
    if let (Some(min), Some(avg), Some(max)) = (summary.min_ms, summary.avg_ms, summary.max_ms) {
        out.line(&format!("round trip min/avg/max = {min:.3}/{avg:.3}/{max:.3} ms"))?;
    }
    Ok(())
}

/// Returns the share of lost pings in per cent, rounded to a whole number. The share is 100 if no ping was sent.
fn percent_lost(sent: u64, received: u64) -> u64 {
    let sent = sent.max(1);
    ((sent - received.min(sent)) * 100 + sent / 2) / sent
}

fn check_success(end: PingEnd, summary: &Summary) -> Result<(), CliError> {
    match end {
        PingEnd::Interrupted(ending) => Err(CliError::Interrupted(ending)),
        PingEnd::Disconnected(error) => {
            Err(CliError::Failed(format!("the connection ended: {error}")))
        }
        PingEnd::Done if summary.received == 0 => {
            Err(CliError::Failed(format!("{} did not answer any ping", summary.address)))
        }
        PingEnd::Done => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::percent_lost;

    #[test]
    fn the_share_of_lost_pings_is_rounded() {
        let cases = [(3, 1, 67), (3, 2, 33), (3, 3, 0), (8, 7, 13), (1, 0, 100), (0, 0, 100)];
        for (sent, received, percent) in cases {
            assert_eq!(percent_lost(sent, received), percent, "{received} of {sent}");
        }
    }
}
