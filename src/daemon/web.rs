//! The web configuration, from the file that a plan names, with the files that it names in turn; and what they looked
//! like, so that a change is seen.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;

use super::Order;
use super::environment;
use super::load::{Fault, Source};
use super::process;
use crate::plan::Guard;
use crate::publish::server::{Access, Login};
use crate::web::{self, Clients, Web};

/// A file that is named, at most.
const NAMED: usize = 1024 * 1024;
/// How often it is looked whether they have changed, and whether there are some by now.
const LOOK: Duration = Duration::from_secs(5);
const IDLE: Duration = Duration::from_secs(60);
/// How a private key begins, of whatever kind.
const KEY: &str = "PRIVATE KEY-----";

/// What was read.
#[derive(Clone, Debug, Default)]
pub(super) struct Read {
    pub(super) access: Arc<Access>,
    /// What may surprise in it, rendered.
    pub(super) warnings: Vec<String>,
}

/// What was read, or everything that is wrong with it, rendered.
pub(super) type Result = std::result::Result<Read, Vec<String>>;

/// A file as the system describes it: device and number, size, and when it and its description changed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Look(PathBuf, Option<[i64; 5]>, Option<[u64; 2]>);

/// How the files looked before they were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Looks(Vec<Look>);

impl Looks {
    /// Whether one of them looks different by now.
    pub(super) fn have_changed(&self) -> bool {
        self.0.iter().any(|look| Look::at(&look.0) != *look)
    }
}

impl Look {
    fn at(path: &Path) -> Self {
        let seen = std::fs::metadata(path).ok();
        let times = seen.as_ref().map(|seen| {
            let size = i64::try_from(seen.len()).unwrap_or(i64::MAX);
            [size, seen.mtime(), seen.mtime_nsec(), seen.ctime(), seen.ctime_nsec()]
        });
        Self(path.to_owned(), times, seen.map(|seen| [seen.dev(), seen.ino()]))
    }
}

/// What a web configuration asks for, or everything that is wrong with it, rendered; and how its files look.
pub(super) fn read(file: Option<&Path>) -> (Result, Looks) {
    let Some(file) = file else { return (Ok(Read::default()), Looks::default()) };
    let looks = Mutex::new(vec![Look::at(file)]);
    let read = read_with(file, &|path| {
        looks.lock().unwrap_or_else(PoisonError::into_inner).push(Look::at(path));
    });
    (read, Looks(looks.into_inner().unwrap_or_else(PoisonError::into_inner)))
}

fn read_with(file: &Path, look: &dyn Fn(&Path)) -> Result {
    if let Some((open, kind)) = environment::writable_by_others(file) {
        return Err(vec![Fault::Writable(open, kind).to_string()]);
    }
    let bytes = environment::read_bounded(file, web::FILE_LIMIT)
        .map_err(|error| vec![Fault::Read { path: file.to_owned(), error }.to_string()])?;
    let text = String::from_utf8_lossy(&bytes);
    let open = environment::is_readable_by_others(file);
    let name = file.display().to_string();
    if open && text.contains(KEY) {
        return Err(vec![format!("{name}: others may read the key in this file; chmod o-r it")]);
    }
    let (web, problems) = web::read(&text, &|path| {
        let path = file.parent().unwrap_or(Path::new(".")).join(path);
        look(&path);
        let bytes = environment::read_bounded(&path, NAMED).map_err(|error| error.to_string())?;
        let is_key = bytes.windows(KEY.len()).any(|part| part == KEY.as_bytes());
        if is_key && environment::is_readable_by_others(&path) {
            return Err("others may read the key in it; chmod o-r it".to_owned());
        }
        if let Some((open, _)) = environment::writable_by_others(&path) {
            return Err(format!("others may write {}; chmod o-w it", open.display()));
        }
        Ok(bytes)
    });
    let mut rendered: Vec<String> =
        problems.iter().map(|problem| problem.render(&name, &text)).collect();
    if !problems.iter().all(|problem| problem.warning) {
        return Err(rendered);
    }
    if open && !web.users.is_empty() {
        rendered.push(format!(
            "{name}: warning: others may read the hashes of passwords in it\n    chmod o-r it"
        ));
    }
    if let Some(until) = web.until.filter(|until| *until < process::now()) {
        rendered.push(format!(
            "{name}: warning: clients refuse the certificate, which ended at {until}\n    renew it"
        ));
    }
    Ok(Read { access: Arc::new(access(web)), warnings: rendered })
}

fn access(web: Web) -> Access {
    let login = |user: web::User| Login {
        name: user.name,
        hash: user.hash.expose().to_owned(),
        cost: user.hash.cost(),
    };
    Access {
        tls: web.tls,
        verifies_clients: web.clients != Clients::Unproven,
        requires_client: web.clients == Clients::Always,
        headers: web.headers,
        users: web.users.into_iter().map(login).collect(),
    }
}

/// Orders the files to be read again where one has changed. It ends with the daemon.
pub async fn watch(source: Arc<Source>, orders: mpsc::Sender<Order>) {
    loop {
        tokio::time::sleep(if source.has_web() { LOOK } else { IDLE }).await;
        let looking = Arc::clone(&source);
        // Files may be on a server that takes its time.
        let changed = tokio::task::spawn_blocking(move || looking.web_has_changed()).await;
        if changed.unwrap_or(false) && orders.send(Order::Lists).await.is_err() {
            return;
        }
    }
}

/// What guards the port, for those who judge where it may listen.
pub fn guard(access: &Access) -> Guard {
    Guard {
        tls: access.tls.is_some(),
        passwords: !access.users.is_empty(),
        certificates: access.requires_client,
    }
}
