//! Signals as orders: SIGTERM and SIGINT end, SIGHUP loads the configuration again.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Order;

/// Begins to listen. The set owns the task that does; the orders end with it.
pub fn orders() -> std::io::Result<(mpsc::Receiver<Order>, JoinSet<()>)> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let (sender, receiver) = mpsc::channel(8);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        loop {
            let order = tokio::select! {
                _ = terminate.recv() => Order::Stop,
                _ = interrupt.recv() => Order::Stop,
                _ = hang_up.recv() => Order::Reload,
            };
            if sender.send(order).await.is_err() {
                break;
            }
        }
    });
    Ok((receiver, tasks))
}
