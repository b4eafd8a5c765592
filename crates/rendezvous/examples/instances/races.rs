//! Several receivers that claim one code at the same moment, at different instances.

use std::net::SocketAddr;

use futures_util::future::join_all;
use tokio::task::JoinSet;
use wire::code::Nameplate;
use wire::signaling::{Claim, ClientMessage, CloseReason, ServerMessage};

use super::sockets::Socket;

/// What came of many races.
#[derive(Debug, Default)]
pub(crate) struct Races {
    /// Claims that were made.
    pub(crate) claims: usize,
    /// Codes that exactly one receiver got.
    pub(crate) won: usize,
    /// Codes that more than one receiver got, or whose sender was told of more than one.
    pub(crate) doubled: usize,
    /// Codes that nobody got, or races that did not take place.
    pub(crate) failed: usize,
}

/// What came of one race.
#[derive(Clone, Copy)]
struct Race {
    winners: usize,
    refused: usize,
    told: usize,
}

/// Has `claims` claims race, four for each code.
pub(crate) async fn run(front: SocketAddr, claims: usize) -> Races {
    let mut races = Races::default();
    let mut running = JoinSet::new();
    let mut number = 0;
    for _ in 0..claims / RACERS {
        if running.len() >= AT_ONCE {
            races.count(running.join_next().await.unwrap().unwrap());
        }
        number += 1 + u32::try_from(RACERS).unwrap();
        running.spawn_local(race(front, number));
    }
    while let Some(ended) = running.join_next().await {
        races.count(ended.unwrap());
    }
    races
}

impl Races {
    fn count(&mut self, race: Option<Race>) {
        self.claims += race.map_or(0, |race| race.winners + race.refused);
        match race {
            Some(Race { winners: 1, told: 1, refused }) if refused == RACERS - 1 => self.won += 1,
            Some(Race { winners, told, .. }) if winners > 1 || told > 1 => self.doubled += 1,
            Some(_) | None => self.failed += 1,
        }
    }
}

async fn race(front: SocketAddr, number: u32) -> Option<Race> {
    let mut sender = Socket::connect(front, number).await?;
    let nameplate = create(&mut sender).await?;
    let racers = join_all(
        (1..=RACERS).map(async |index| Socket::connect(front, number + u32::try_from(index).unwrap()).await),
    )
    .await;
    let racers: Option<Vec<_>> = racers.into_iter().collect();
    // Nobody leaves before all have been answered: a door is free again when its receiver goes.
    let answers = join_all(racers?.into_iter().map(async |mut socket| {
        socket.say(ClientMessage::Claim { v: 1, at: Claim::Nameplate(nameplate) }).await?;
        let answer = socket.hear().await?;
        Some((socket, answer))
    }))
    .await;
    let mut race = Race { winners: 0, refused: 0, told: 0 };
    for (_, answer) in answers.iter().flatten() {
        match answer {
            ServerMessage::Paired { .. } => race.winners += 1,
            ServerMessage::Refused { reason: CloseReason::NoSuchCode, .. } => race.refused += 1,
            _ => {}
        }
    }
    // What the sender was told stands before the answer to a message that is wrong, which ends its socket.
    sender.say(ClientMessage::OpenDoor).await?;
    while let Some(message) = sender.hear().await {
        match message {
            ServerMessage::Paired { .. } => race.told += 1,
            ServerMessage::Refused { .. } => break,
            _ => {}
        }
    }
    Some(race)
}

async fn create(sender: &mut Socket) -> Option<Nameplate> {
    let create = ClientMessage::Create { v: 1, typed: true, link_slot: None, token: None, return_slot: None };
    sender.say(create).await?;
    let ServerMessage::Created { nameplate, .. } = sender.hear().await? else { return None };
    nameplate
}

/// Receivers that claim one code.
const RACERS: usize = 4;

/// Races at one time.
const AT_ONCE: usize = 300;
