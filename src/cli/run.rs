//! `egressd run`: load, listen, run, until a signal ends it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use super::{CONFIG, FAILED, OK, block_on, complain};
use crate::daemon::load::{Loaded, Port, Source};
use crate::daemon::logging::{self, Logging};
use crate::daemon::{self, Order, Reload, Reloaded, Setup, handed, lists, signals, web};

pub(super) fn main(file: Option<&Path>) -> u8 {
    let (handed, port) = match handed_over() {
        Ok(handed) => handed,
        Err(fault) => {
            complain(&fault.to_string());
            return FAILED;
        }
    };
    let (source, loaded) = match Source::open(file, port) {
        Ok(loaded) => loaded,
        Err(fault) => {
            complain(&fault.to_string());
            return CONFIG;
        }
    };
    let logging = logging::start(&loaded.plan.log);
    let _written = logging.until_written();
    loaded.warnings.iter().for_each(|warning| warn!("{warning}"));
    match serve(loaded, Arc::new(source), handed, &logging) {
        Ok(()) => OK,
        Err(fault) => {
            error!("{fault}");
            FAILED
        }
    }
}

/// Why it does not run.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("start the runtime: {0}")]
    Runtime(std::io::Error),
    #[error("listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    #[error("take over the socket of the service manager: {0}")]
    HandedOver(std::io::Error),
    #[error("listen for signals: {0}")]
    Signals(std::io::Error),
    #[error(transparent)]
    Probe(#[from] crate::probe::Fault),
}

/// The service manager's socket, if there is one, and whose address counts.
fn handed_over() -> Result<(Option<std::net::TcpListener>, Port), Fault> {
    let handed = handed::listener().map_err(Fault::HandedOver)?;
    let port = handed.as_ref().map(|socket| socket.local_addr().map(Port::Handed)).transpose();
    Ok((handed, port.map_err(Fault::HandedOver)?.unwrap_or(Port::Configured)))
}

fn serve(
    loaded: Loaded,
    source: Arc<Source>,
    handed: Option<std::net::TcpListener>,
    logging: &Logging,
) -> Result<(), Fault> {
    let (address, logging) = (loaded.plan.listen, logging.clone());
    let served = block_on(async move {
        let (listener, whose) = match handed {
            Some(handed) => {
                let listener = TcpListener::from_std(handed).map_err(Fault::HandedOver)?;
                (listener, "the service manager's socket, in the place of [server] listen: ")
            }
            None => {
                let bound = TcpListener::bind(address).await;
                (bound.map_err(|error| Fault::Listen(address, error))?, "")
            }
        };
        let (sender, orders) = signals::channel();
        let mut tasks = JoinSet::new();
        signals::listen(sender.clone(), &mut tasks).map_err(Fault::Signals)?;
        tasks.spawn(lists::watch(Arc::clone(&source), sender.clone()));
        tasks.spawn(web::watch(Arc::clone(&source), sender));
        let bound = listener.local_addr().unwrap_or(address);
        source.is_bound(bound);
        let scheme = if loaded.access.tls.is_some() { "https" } else { "http" };
        info!(
            "egressd {} runs {}, {} targets, on {whose}{scheme}://{bound}",
            env!("CARGO_PKG_VERSION"),
            loaded.source,
            loaded.plan.targets.len(),
        );
        let setup = Setup::new(loaded.plan, loaded.modules, None)?.for_those(loaded.access);
        daemon::run(setup, listener, orders, reload(source, logging)).await;
        Ok(())
    });
    served.map_err(Fault::Runtime)?
}

/// A bad file keeps the old plan, a bad list the last good one, and everything that is wrong is said.
fn reload(source: Arc<Source>, logging: Logging) -> Reload {
    Box::new(move |old, order| {
        let again = source.again(!matches!(order, Order::Lists));
        let is_sound = again.is_sound;
        let told = again.wrong.join("\n");
        let Some(loaded) = again.loaded else {
            error!("reload: the old plan stays in force: {told}");
            return Reloaded { wrong: told, ..Reloaded::default() };
        };
        if !again.wrong.is_empty() {
            error!("reload: the last good files stay in force: {told}");
        }
        loaded.warnings.iter().for_each(|warning| warn!("{warning}"));
        let log = loaded.plan.log.clone();
        match Setup::new(loaded.plan, loaded.modules, Some(old)) {
            Ok(setup) => {
                if log != old.plan.log {
                    logging.change(&log);
                }
                let setup = Some(setup.for_those(loaded.access));
                Reloaded { setup, is_sound, wrong: told }
            }
            Err(fault) => {
                error!("reload: {fault}; the old plan stays in force");
                Reloaded { wrong: fault.to_string(), ..Reloaded::default() }
            }
        }
    })
}
