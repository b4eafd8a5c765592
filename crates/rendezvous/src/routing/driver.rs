//! What an instance does beside its sockets: listens to the others, tells them what changed, shows that it lives.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{self, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use wire::signaling::Slot;

use super::far;
use crate::hub::Hub;
use crate::mesh::frame::{Body, Frame, InstanceId};
use crate::mesh::store::Down;
use crate::mesh::{Job, Mesh};

/// Starts what the instance does for the others and with them, once; it ends with the hub. Needs a runtime.
pub(crate) fn start(hub: &Arc<Hub>) {
    let Some(mesh) = &hub.mesh else { return };
    hub.mesh_driver.get_or_init(|| {
        let stop = CancellationToken::new();
        if let Some(ends) = mesh.take_ends() {
            let weak = Arc::downgrade(hub);
            spawn(&stop, listen(Arc::clone(mesh)));
            spawn(&stop, beat(Weak::clone(&weak), Arc::clone(mesh)));
            spawn(&stop, work(Weak::clone(&weak), Arc::clone(mesh), ends.jobs));
            spawn(&stop, receive(weak, Arc::clone(mesh), ends.arrivals));
        }
        stop.drop_guard()
    });
}

/// Tells another instance that a session of its is here now. Should it not hear that, nothing leads there any more.
pub(super) async fn tell_moved(mesh: &Mesh, owner: InstanceId, return_slot: Slot) {
    if owner != mesh.id && !mesh.is_dead(owner) {
        let _ = mesh.tell(owner, &Frame::aside(mesh.id, Body::Moved(return_slot))).await;
    }
}

fn spawn(stop: &CancellationToken, task: impl Future<Output = ()> + Send + 'static) {
    let stop = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = task => {}
            () = stop.cancelled() => {}
        }
    });
}

/// Keeps listening, however often that breaks.
async fn listen(mesh: Arc<Mesh>) {
    loop {
        mesh.listen().await;
        time::sleep(RELISTEN).await;
    }
}

/// Beats once a second; once a minute says which meetings are here. What Redis may have lost is told it again first.
async fn beat(hub: Weak<Hub>, mesh: Arc<Mesh>) {
    let mut ticks = time::interval(BEAT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut count = 0_u32;
    loop {
        tokio::select! {
            _ = ticks.tick() => count = count.wrapping_add(1),
            () = mesh.opened() => {}
        }
        if go_round(&hub, &mesh, count.is_multiple_of(BEATS_PER_ROUND)).await.is_err() {
            mesh.handle_lost();
        }
    }
}

async fn go_round(hub: &Weak<Hub>, mesh: &Mesh, is_round: bool) -> Result<(), Down> {
    mesh.beat().await?;
    if let Some(is_first) = mesh.wants_restoring() {
        restore(hub, mesh).await?;
        // A Redis that was restarted knows of nothing: before anybody is given a nameplate, all who have one say so.
        if !is_first {
            time::sleep(OTHERS_FIRST).await;
            mesh.beat().await?;
        }
        mesh.handle_restored();
    } else if is_round {
        keep_meetings(hub, mesh).await?;
    }
    Ok(())
}

/// Writes down again what this instance has.
async fn restore(hub: &Weak<Hub>, mesh: &Mesh) -> Result<(), Down> {
    let Some(shared) = hub.upgrade().map(|hub| hub.decide(|registry, now| registry.shared(now))) else {
        return Ok(());
    };
    mesh.restore(&shared.0, &shared.1).await?;
    keep_meetings(hub, mesh).await
}

async fn keep_meetings(hub: &Weak<Hub>, mesh: &Mesh) -> Result<(), Down> {
    let slots = hub.upgrade().map(|hub| hub.decide(|registry, _| registry.meeting_slots()));
    for slot in slots.unwrap_or_default() {
        if !mesh.keep_meeting(slot).await?
            && let Some(hub) = hub.upgrade()
        {
            hub.decide(|registry, now| registry.handle_meeting_moved(slot, now));
        }
    }
    Ok(())
}

/// Writes down what changed, in order.
async fn work(hub: Weak<Hub>, mesh: Arc<Mesh>, mut jobs: mpsc::Receiver<Job>) {
    while let Some(job) = jobs.recv().await {
        let done = match job {
            Job::Share(shared) => mesh.publish(shared).await,
            Job::Count(client, fault) => {
                let Some(limits) = hub.upgrade().map(|hub| hub.config.limits.clone()) else { return };
                mesh.count_fault(client, fault, &limits).await
            }
            Job::Flush(done) => {
                // Whoever waited may have given up.
                let _ = done.send(());
                Ok(())
            }
        };
        // What is lost now is said again when Redis is back.
        if done.is_err() {
            mesh.handle_lost();
        }
    }
}

/// Takes in what other instances begin here.
async fn receive(hub: Weak<Hub>, mesh: Arc<Mesh>, mut arrivals: mpsc::Receiver<Frame>) {
    while let Some(frame) = arrivals.recv().await {
        let Some(hub) = hub.upgrade() else { return };
        match frame.body {
            Body::Open(client) if frame.number == 1 => {
                if let Some(place) = mesh.place_link(frame.link, frame.from) {
                    let (owner, mesh) = (Arc::clone(&hub), Arc::clone(&mesh));
                    tokio::spawn(async move {
                        owner.own(far::run(Arc::clone(&owner), mesh, place, client, frame)).await;
                    });
                }
            }
            Body::Moved(return_slot) => {
                hub.decide(|registry, now| registry.handle_moved(return_slot, now));
            }
            Body::Signs(signs) => hub.handle_signs(signs),
            Body::Open(_)
            | Body::Message(_)
            | Body::Close(_)
            | Body::Depart
            | Body::Gone
            | Body::Acknowledge
            | Body::Reset
            | Body::Beat => {
                // What came right behind the frame that opens its link was here before the link was.
                let Some(frame) = mesh.deliver(frame) else { continue };
                // Of a link that is over here, or never was. Whether that is heard does not matter: it will be asked again.
                let reset = Frame { link: frame.link, ..Frame::aside(mesh.id, Body::Reset) };
                let _ = mesh.tell(frame.from, &reset).await;
            }
        }
    }
}

/// Between two signs of life.
const BEAT: Duration = Duration::from_secs(1);

/// Signs of life between two rounds through the meetings.
const BEATS_PER_ROUND: u32 = 60;

/// Between two attempts to listen.
const RELISTEN: Duration = Duration::from_millis(300);

/// How long the other instances have to say what they have, after Redis was away.
const OTHERS_FIRST: Duration = Duration::from_secs(1);
