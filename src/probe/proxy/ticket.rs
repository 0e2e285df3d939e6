//! Tickets without blocking the runtime: each is made on a thread of its own, with a deadline, and few at
//! a time, since a KDC that does not answer holds the thread as long as the host's library likes.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::gssapi::Fault;
pub(super) use super::gssapi::{Initiator, Source};
use crate::observation::{Ticket, TicketKind};

/// Threads that may wait for a KDC at the same time.
const THREADS: usize = 4;

static FREE: std::sync::LazyLock<Arc<Semaphore>> =
    std::sync::LazyLock::new(|| Arc::new(Semaphore::new(THREADS)));

type Made = Result<(Box<Initiator>, Vec<u8>), Ticket>;

/// The first token for a proxy.
pub(super) async fn first(source: Source, host: String, deadline: Instant) -> Made {
    on_a_thread(deadline, move || {
        let mut initiator = Initiator::new(&source, &host)?;
        let token = initiator.step(None)?;
        Ok((initiator, token))
    })
    .await
}

/// The token that answers the proxy's.
pub(super) async fn next(mut initiator: Box<Initiator>, token: Vec<u8>, deadline: Instant) -> Made {
    on_a_thread(deadline, move || {
        let token = initiator.step(Some(&token))?;
        Ok((*initiator, token))
    })
    .await
}

async fn on_a_thread(
    deadline: Instant,
    work: impl FnOnce() -> Result<(Initiator, Option<Vec<u8>>), Fault> + Send + 'static,
) -> Made {
    let waited = timeout_at(deadline, Arc::clone(&FREE).acquire_owned()).await;
    // That says nothing of this account's KDC.
    let Ok(Ok(permit)) = waited else {
        return Err(of(TicketKind::Other, "the tickets of other trips were waited for"));
    };
    // Its owner may go: the thread ends when the library lets it, and its result is dropped there.
    let mut thread = JoinSet::new();
    thread.spawn_blocking(move || (held(&permit), work()).1);
    match timeout_at(deadline, thread.join_next()).await {
        Ok(Some(Ok(Ok((initiator, token))))) => match token {
            Some(token) => Ok((Box::new(initiator), token)),
            None => Err(of(TicketKind::Other, "GSSAPI has nothing more to say")),
        },
        Ok(Some(Ok(Err(fault)))) => Err(of(fault.kind, &fault.text)),
        Ok(Some(Err(_)) | None) => Err(of(TicketKind::Other, "the ticket's thread ended early")),
        Err(_) => Err(of(TicketKind::KdcUnreachable, "the KDC did not answer in time")),
    }
}

/// A permit is held as long as the closure that it moved into.
fn held(_: &OwnedSemaphorePermit) {}

fn of(kind: TicketKind, detail: &str) -> Ticket {
    Ticket { kind, detail: detail.to_owned(), until: None }
}
