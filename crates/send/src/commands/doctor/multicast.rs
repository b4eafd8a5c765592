//! Whether senders near by are found without a server: this machine announces one and listens for it.

use std::time::Duration;

use wire::code::Nameplate;

use crate::config::Config;
use crate::discovery::{self, Announcement};
use crate::entropy;
use crate::interfaces;
use crate::report::{Check, Finding};

/// As long as a receiver listens that has no server.
const WINDOW: Duration = Duration::from_secs(3);

/// Announces a sender that is not there, and listens.
pub(super) async fn check() -> Finding {
    // Nobody shows a code of that length without a server.
    let number = entropy::bytes().map(u32::from_be_bytes).unwrap_or_default() % 900_000 + 100_000;
    let Some(nameplate) = Nameplate::new(number) else { return finding(false) };
    let announced = Announcement::new(nameplate, Config::PREFERRED_PORT, &interfaces::lan_addresses());
    let Ok(announcement) = announced else { return finding(false) };
    let found = discovery::find(nameplate, WINDOW).await.unwrap_or_default();
    announcement.withdraw().await;
    finding(!found.is_empty())
}

fn finding(is_heard: bool) -> Finding {
    if is_heard {
        return Finding::good(
            Check::Multicast,
            "heard",
            "Announcements on the local network work, as far as this machine can tell alone.",
        );
    }
    Finding::warning(
        Check::Multicast,
        "not_heard",
        "This machine does not hear its own announcements, so nobody on this network finds it by a code alone.",
    )
    .advise("allow UDP port 5353 (mDNS) in the firewall; until then use the link, or a server (--server)")
}
