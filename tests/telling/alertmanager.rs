//! A real Alertmanager: a master that is down is an active alert there, and no longer when it is back.

use super::tools::{eventually, get_json, start};
use crate::processes::fleet::{Fleet, Plan, free_ports};
use serde_json::Value;

fn active(port: u16, name: &str) -> Vec<Value> {
    let alerts = get_json(port, "/api/v2/alerts?active=true").unwrap_or_default();
    let all = alerts.as_array().cloned().unwrap_or_default();
    all.into_iter().filter(|alert| alert["labels"]["alertname"] == name).collect()
}

#[test]
fn a_master_that_is_down_is_an_active_alert_until_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_ports(1)[0];
    let config = dir.path().join("alertmanager.yml");
    std::fs::write(&config, "route: { receiver: nobody }\nreceivers: [{ name: nobody }]\n").unwrap();
    let args = vec![
        format!("--config.file={}", config.display()),
        format!("--storage.path={}", dir.path().join("data").display()),
        format!("--web.listen-address=127.0.0.1:{port}"),
        "--cluster.listen-address=".to_owned(),
    ];
    let alertmanager = start("alertmanager", port, "prometheus-alertmanager", args, dir.path());
    let report = || alertmanager.log();
    eventually("Alertmanager answers (Debian's package prometheus-alertmanager)", &report, || {
        get_json(port, "/api/v2/status").is_some()
    });
    let extra = format!(
        "webhooks:\n  - {{ name: am, url: \"http://127.0.0.1:{port}/api/v2/alerts\", format: alertmanager }}\n"
    );
    // Without a replica nobody can take over, so the master stays down until it is back.
    let fleet = Fleet::start(&Plan { nodes: 1, extra, ..Plan::default() });
    let report = || format!("{}{}", alertmanager.log(), fleet.logs());
    assert!(active(port, "VedetteOdown").is_empty());
    fleet.data[0].stop();
    eventually("the alert is active", &report, || active(port, "VedetteOdown").len() == 1);
    let alert = active(port, "VedetteOdown").remove(0);
    assert_eq!(alert["labels"]["group"], "mymaster");
    assert_eq!(alert["labels"]["severity"], "critical");
    assert!(alert["annotations"]["summary"].as_str().unwrap().contains("master is down"), "{alert}");
    eventually("the sentinels' own view too", &report, || active(port, "VedetteSdown").len() == 1);
    fleet.data[0].resume();
    eventually("both are resolved", &report, || {
        active(port, "VedetteOdown").is_empty() && active(port, "VedetteSdown").is_empty()
    });
}
