//! Who sits where, and what it costs.

use super::*;

fn relays(limits: impl FnOnce(&mut crate::config::Limits)) -> Arc<Relays> {
    let mut config = Config::default();
    limits(&mut config.limits);
    Relays::new(&config)
}

fn slot(byte: u8) -> Slot {
    Slot::new([byte; 16])
}

fn join(relays: &Arc<Relays>, byte: u8, role: Role, generation: u32) -> Result<Seat, CloseReason> {
    relays.join((slot(byte), role), generation, Instant::now())
}

#[tokio::test]
async fn what_one_side_sends_comes_out_at_the_other_and_ends_with_it() {
    let relays = relays(|_| {});
    let mut sender = join(&relays, 1, Role::Sender, 2).unwrap();
    assert!(!sender.ending.complete.is_cancelled());
    let mut receiver = join(&relays, 1, Role::Receiver, 2).unwrap();
    receiver.completed().await;
    let (entrance, _) = sender.take_ends().unwrap();
    let (_, mut exit) = receiver.take_ends().unwrap();
    entrance.push(b"sealed".to_vec().into()).await.unwrap();
    drop((entrance, sender));
    assert_eq!(exit.next().await.unwrap().record, &b"sealed"[..]);
    assert!(exit.next().await.is_none());
    assert_eq!(relays.in_use(), 1);
    drop(receiver);
    assert_eq!(relays.in_use(), 0);
}

#[tokio::test]
async fn of_two_generations_the_higher_is_carried() {
    let relays = relays(|_| {});
    let old = join(&relays, 1, Role::Sender, 2).unwrap();
    let new = join(&relays, 1, Role::Receiver, 4).unwrap();
    assert_eq!(old.ended().await, CloseReason::Replaced);
    assert_eq!(join(&relays, 1, Role::Sender, 3).unwrap_err(), CloseReason::Replaced);
    drop(old);
    assert!(!new.ending.over.is_cancelled(), "who was replaced takes nobody along");
    join(&relays, 1, Role::Sender, 4).unwrap().completed().await;
}

#[tokio::test]
async fn whoever_comes_a_second_time_ends_what_there_was() {
    let relays = relays(|_| {});
    let sender = join(&relays, 1, Role::Sender, 2).unwrap();
    let receiver = join(&relays, 1, Role::Receiver, 2).unwrap();
    let _again = join(&relays, 1, Role::Receiver, 2).unwrap();
    assert_eq!(sender.ended().await, CloseReason::Replaced);
    assert_eq!(receiver.ended().await, CloseReason::Replaced);
}

#[test]
fn sessions_are_kept_apart_and_so_many_may_be_carried() {
    let relays = relays(|limits| limits.relays = 2);
    let one = join(&relays, 1, Role::Sender, 2).unwrap();
    let _other = join(&relays, 2, Role::Receiver, 2).unwrap();
    assert!(!one.ending.complete.is_cancelled());
    assert_eq!(join(&relays, 3, Role::Sender, 2).unwrap_err(), CloseReason::Busy);
    assert!(join(&relays, 1, Role::Receiver, 2).is_ok(), "the other side of one that is carried");
    drop(one);
    assert!(join(&relays, 3, Role::Sender, 2).is_ok());
}

#[tokio::test]
async fn a_session_may_carry_so_much_however_often_it_comes() {
    let relays = relays(|limits| limits.relay_session_bytes = 1000);
    let sender = join(&relays, 1, Role::Sender, 2).unwrap();
    let receiver = join(&relays, 1, Role::Receiver, 2).unwrap();
    assert_eq!(sender.spend(600, Instant::now()), Ok(Duration::ZERO));
    assert_eq!(receiver.spend(600, Instant::now()), Err(CloseReason::Quota));
    assert_eq!(sender.ended().await, CloseReason::Quota);
    drop((sender, receiver));
    assert_eq!(join(&relays, 1, Role::Sender, 4).unwrap_err(), CloseReason::Quota);
    let later = Instant::now() + Duration::from_mins(11);
    assert!(relays.join((slot(1), Role::Sender), 4, later).is_ok(), "it is forgotten with its meeting");
}

#[test]
fn sessions_that_come_and_go_leave_nothing_behind() {
    let relays = relays(|limits| (limits.relays, limits.meetings) = (1, 10));
    for byte in 0..=255 {
        drop(join(&relays, byte, Role::Sender, 1).unwrap());
    }
    let state = relays.state();
    assert!(state.by_slot.len() <= 10 && state.empty.len() <= 10, "{}", state.by_slot.len());
}

#[tokio::test]
async fn who_is_there_when_the_server_goes_away_goes_elsewhere() {
    let relays = relays(|_| {});
    let seat = join(&relays, 1, Role::Sender, 2).unwrap();
    relays.drain();
    assert_eq!(seat.ended().await, CloseReason::GoingAway);
    assert_eq!(join(&relays, 2, Role::Sender, 2).unwrap_err(), CloseReason::GoingAway);
}
