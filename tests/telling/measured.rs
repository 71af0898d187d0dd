//! A real Prometheus and its promtool: the metrics are clean, the rules pass their own tests, every
//! expression of the dashboard is understood and finds its metrics, and an alert fires when a master
//! dies.

use super::tools::{escape, eventually, get, get_json, http_port, repository, run, start, succeeded};
use crate::processes::fleet::{Fleet, Plan, free_ports};
use serde_json::Value;
use std::collections::BTreeSet;

const PACKAGE: &str = "prometheus";

#[test]
fn the_rules_pass_their_own_tests() {
    let folder = repository("docs/monitoring");
    let rules = folder.join("vedette.rules.yml").display().to_string();
    succeeded(&run("promtool", PACKAGE, &["check", "rules", &rules], ""));
    let tests = folder.join("vedette.rules.test.yml").display().to_string();
    succeeded(&run("promtool", PACKAGE, &["test", "rules", &tests], ""));
    let config = folder.join("prometheus.yml").display().to_string();
    succeeded(&run("promtool", PACKAGE, &["check", "config", &config], ""));
}

/// Every expression of every panel and annotation, as Grafana would send it.
fn expressions(dashboard: &Value, out: &mut Vec<String>) {
    match dashboard {
        Value::Array(items) => items.iter().for_each(|item| expressions(item, out)),
        Value::Object(map) => {
            for (key, value) in map {
                match value.as_str() {
                    Some(text) if key == "expr" => {
                        out.push(text.replace("$group", ".*").replace("$__rate_interval", "1m"));
                    }
                    _ => expressions(value, out),
                }
            }
        }
        _ => {}
    }
}

/// The names of metrics in an expression.
fn metrics(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':')
        .filter(|word| word.starts_with("vedette_") || word.starts_with("process_"))
}

#[test]
fn prometheus_scrapes_a_fleet_and_its_alert_fires_when_a_master_dies() {
    let extra = "webhooks:\n  - { name: ops, url: \"http://127.0.0.1:9/\" }\n".to_owned();
    let mut fleet = Fleet::start(&Plan { extra, ..Plan::default() });
    let (code, text) = get(http_port(&fleet, 0), "/metrics").expect("the metrics");
    assert_eq!(code, 200);
    let checked = run("promtool", PACKAGE, &["check", "metrics"], &text);
    let said = succeeded(&checked);
    assert!(said.trim().is_empty(), "promtool has something to say: {said}");

    let port = free_ports(1)[0];
    let targets: Vec<String> =
        (0..3).map(|index| format!("\"127.0.0.1:{}\"", http_port(&fleet, index))).collect();
    let documented = std::fs::read_to_string(repository("docs/monitoring/prometheus.yml")).unwrap();
    let rules = repository("docs/monitoring/vedette.rules.yml");
    let config = documented
        .replace("5s", "1s")
        .replace("vedette.rules.yml", &rules.display().to_string())
        .replace("\"127.0.0.1:26380\", \"127.0.0.1:26480\", \"127.0.0.1:26580\"", &targets.join(", "));
    assert!(config.contains(&targets[0]));
    let path = fleet.dir.path().join("prometheus.yml");
    std::fs::write(&path, config).unwrap();
    let args = vec![
        format!("--config.file={}", path.display()),
        format!("--storage.tsdb.path={}", fleet.dir.path().join("tsdb").display()),
        format!("--web.listen-address=127.0.0.1:{port}"),
    ];
    let prometheus = start("prometheus", port, "prometheus", args, fleet.dir.path());
    let logs = fleet.logs();
    let report = || format!("{}{logs}", prometheus.log());
    let query = |expr: &str| get_json(port, &format!("/api/v1/query?query={}", escape(expr)));
    let value =
        |expr: &str| -> Option<f64> { query(expr)?["data"]["result"][0]["value"][1].as_str()?.parse().ok() };
    eventually("three sentinels are scraped (Debian's package prometheus)", &report, || {
        value("sum(up{job=\"vedette\"})") == Some(3.0) && value("min(vedette:group_ok:min)") == Some(1.0)
    });

    let dashboard = std::fs::read_to_string(repository("docs/monitoring/grafana.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    let mut used = Vec::new();
    expressions(&dashboard, &mut used);
    assert!(used.len() > 20, "{}", used.len());
    for expr in &used {
        let answer = query(expr).unwrap_or_else(|| panic!("Prometheus does not understand: {expr}"));
        assert_eq!(answer["status"], "success", "{expr}");
    }
    // A metric that does not exist would be an empty panel, or an alert that never fires.
    // What only the leader knows, only the leader shows.
    let all: String = (0..3).filter_map(|index| Some(get(http_port(&fleet, index), "/metrics")?.1)).collect();
    let shown: BTreeSet<&str> =
        all.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    // Without a failover behind it there is no last one.
    let later = ["vedette_last_failover_outage_seconds", "vedette_last_failover_step_seconds"];
    let rules = std::fs::read_to_string(rules).unwrap();
    let rules = rules.lines().filter(|line| !line.trim_start().starts_with('#'));
    let rules: String = rules.collect::<Vec<_>>().join("\n");
    for name in used.iter().flat_map(|expr| metrics(expr)).chain(metrics(&rules)) {
        assert!(shown.contains(name) || later.contains(&name), "{name} is not measured");
    }

    let firing = |name: &str| {
        let alerts = get_json(port, "/api/v1/alerts").unwrap_or_default();
        let alerts = alerts["data"]["alerts"].as_array().cloned().unwrap_or_default();
        alerts.iter().any(|alert| alert["labels"]["alertname"] == name && alert["state"] == "firing")
    };
    assert!(!firing("VedetteFailedOver"));
    let old = fleet.master().unwrap();
    let index = fleet.index_of(old);
    fleet.data[index].kill();
    eventually("the failover is an alert", &report, || firing("VedetteFailedOver"));
    eventually("its steps are measured", &report, || {
        value("max(vedette_last_failover_step_seconds{step=\"published\"})").is_some_and(|s| s > 0.0)
            && value("max(vedette_last_failover_outage_seconds)").is_some_and(|s| s > 0.0)
    });
    // With everybody dead nobody takes over.
    for data in &mut fleet.data {
        data.kill();
    }
    eventually("a master without a successor is an alert", &report, || firing("VedetteMasterDown"));
}
