//! Signals as orders: SIGTERM and SIGINT end, SIGHUP loads the configuration again.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Order;

/// Where orders come in; they end with the last sender.
pub fn channel() -> (mpsc::Sender<Order>, mpsc::Receiver<Order>) {
    mpsc::channel(8)
}

/// Begins to listen. The set owns the task that does.
pub fn listen(sender: mpsc::Sender<Order>, tasks: &mut JoinSet<()>) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
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
    Ok(())
}
