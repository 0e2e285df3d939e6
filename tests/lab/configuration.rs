//! The configuration of a run: what every world has, with what the case lays over it.

use toml::{Table, Value};

use super::case::{Action, Key, Route, RouteUse, TargetKind};
use super::draw::Facts;
use super::world::World;

impl World<'_> {
    /// Writes it and the files that it names.
    pub(crate) fn write_configuration(&self) -> std::path::PathBuf {
        let mut config = table(&self.facts.fill(
            "[probe]\ntimeout = \"{timeout_ms}ms\"\n[trust]\nsystem = false\n\
             public_roots = \"{public_ca}\"\n[dns]\nindependent = [\"{independent}\"]\n[control]\n\
             urls = [\"https://{control_name}/\", \"https://{control2_name}/\"]\n",
        ));
        let routes = self.truth.routes.iter().map(|used| {
            let name = self.route_name(used.route());
            table(&format!("name = \"{name}\"\nexpect = \"{}\"", used.expect())).into()
        });
        let routes: Vec<Value> = routes.collect();
        let mut target = self.target();
        target.insert("routes".to_owned(), routes.into());
        let mut tables: Vec<(Route, Table)> = self
            .truth
            .routes
            .iter()
            .map(RouteUse::route)
            .filter(|route| *route != Route::Direct)
            .map(|route| (route, self.route(route)))
            .collect();
        for action in &self.case.set {
            let Action::Config(more) = action else { continue };
            let Value::Table(mut more) = filled(more.clone().into(), &self.facts) else {
                unreachable!("it was a table")
            };
            if let Some(Value::Table(own)) = more.remove("target") {
                lay_over(&mut target, own);
            }
            if let Some(Value::Table(own)) = more.remove("route") {
                for (word, lines) in own {
                    let place = tables.iter_mut().find(|(route, _)| route.word() == word);
                    if let (Some((_, table)), Value::Table(lines)) = (place, lines) {
                        lay_over(table, lines);
                    }
                }
            }
            lay_over(&mut config, more);
        }
        let tables: Vec<Value> = tables.into_iter().map(|(_, table)| table.into()).collect();
        if !tables.is_empty() {
            config.insert("route".to_owned(), tables.into());
        }
        config.insert("target".to_owned(), vec![Value::from(target)].into());
        self.folder.write("egressd.toml", &config.to_string())
    }

    /// What a route is called in this world.
    pub(crate) fn route_name(&self, route: Route) -> String {
        self.get(&format!("{}_route", route.word())).to_owned()
    }

    fn target(&self) -> Table {
        let host = self.get("host");
        let mut target = table(&format!("name = \"{}\"", self.get("target")));
        let lines = match self.case.target {
            TargetKind::Anthropic => "provider = \"anthropic\"".to_owned(),
            TargetKind::Gateway => {
                format!("provider = \"anthropic\"\nurl = \"https://{host}/v1/models\"")
            }
            TargetKind::Generic => {
                format!("provider = \"generic\"\nurl = \"https://{host}/\"")
            }
        };
        lay_over(&mut target, table(&lines));
        let key = self.said(|action| match action {
            Action::Key(key) => Some(*key),
            _ => None,
        });
        if let Some(key) = key {
            let text = match key {
                Key::Good => Some(self.get("key").to_owned()),
                Key::Wrong => Some(format!("{}0", self.get("key"))),
                Key::Empty => Some(String::new()),
                Key::Missing => None,
            };
            if let Some(text) = text {
                self.folder.write("key", &format!("{text}\n"));
            }
            lay_over(&mut target, table(&self.facts.fill("key = { file = \"{files}/key\" }")));
        }
        target
    }

    fn route(&self, route: Route) -> Table {
        let word = route.word();
        let at = if self.case.proxy_by_name {
            format!("{}:{}", self.get("proxy_name"), self.get(&format!("{word}_port")))
        } else {
            self.get(word).to_owned()
        };
        let way = match route {
            Route::Direct | Route::Squid | Route::Tinyproxy | Route::Ours => {
                format!("proxy = \"http://{at}\"")
            }
            Route::Secure => format!("proxy = \"https://{at}\""),
            Route::Danted | Route::Microsocks | Route::Socks => {
                format!("proxy = \"socks5h://{at}\"")
            }
            Route::Pac => self.facts.fill("proxy = \"pac+file://{files}/proxy.pac\""),
            Route::Environment => "proxy = \"environment\"".to_owned(),
            Route::Line => self.facts.fill("source = \"{client2}\""),
        };
        table(&format!("name = \"{}\"\n{way}", self.route_name(route)))
    }
}

fn table(text: &str) -> Table {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Tables become one, every other value is replaced.
fn lay_over(below: &mut Table, above: Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => lay_over(below, above),
            (_, value) => {
                below.insert(key, value);
            }
        }
    }
}

fn filled(value: Value, facts: &Facts) -> Value {
    match value {
        Value::String(text) => Value::String(facts.fill(&text)),
        Value::Array(list) => {
            Value::Array(list.into_iter().map(|one| filled(one, facts)).collect())
        }
        Value::Table(table) => {
            Value::Table(table.into_iter().map(|(key, one)| (key, filled(one, facts))).collect())
        }
        other => other,
    }
}
