//! `egressd run`: load, listen, run, until a signal ends it.

use std::path::{Path, PathBuf};

use tokio::net::TcpListener;
use tracing::{error, info, warn};

use super::{CONFIG, FAILED, OK, block_on, complain};
use crate::daemon::load::{self, Loaded};
use crate::daemon::{self, Reload, Setup, logging, signals};

pub(super) fn main(file: Option<&Path>) -> u8 {
    let loaded = match load::load(file) {
        Ok(loaded) => loaded,
        Err(fault) => {
            complain(&fault.to_string());
            return CONFIG;
        }
    };
    logging::start(&loaded.plan.log);
    loaded.warnings.iter().for_each(|warning| warn!("{warning}"));
    match serve(loaded, file) {
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
    Listen(std::net::SocketAddr, std::io::Error),
    #[error("listen for signals: {0}")]
    Signals(std::io::Error),
    #[error(transparent)]
    Probe(#[from] crate::probe::Fault),
}

fn serve(loaded: Loaded, file: Option<&Path>) -> Result<(), Fault> {
    let address = loaded.plan.listen;
    let file = file.map(Path::to_owned);
    let served = block_on(async move {
        let listener =
            TcpListener::bind(address).await.map_err(|error| Fault::Listen(address, error))?;
        let (orders, _listening) = signals::orders().map_err(Fault::Signals)?;
        let bound = listener.local_addr().unwrap_or(address);
        info!(
            "egressd {} runs {}, {} targets, on http://{bound}",
            env!("CARGO_PKG_VERSION"),
            loaded.source,
            loaded.plan.targets.len(),
        );
        let setup = Setup::new(loaded.plan, loaded.modules, None)?;
        daemon::run(setup, listener, orders, reload(file)).await;
        Ok(())
    });
    served.map_err(Fault::Runtime)?
}

/// A bad file keeps the old plan, and says everything that is wrong with it.
fn reload(file: Option<PathBuf>) -> Reload {
    Box::new(move |old| match load::load(file.as_deref()) {
        Ok(loaded) => {
            loaded.warnings.iter().for_each(|warning| warn!("{warning}"));
            Setup::new(loaded.plan, loaded.modules, Some(old))
                .inspect_err(|fault| error!("reload: {fault}; the old plan stays in force"))
                .ok()
        }
        Err(fault) => {
            error!("reload: the old plan stays in force: {fault}");
            None
        }
    })
}
