//! What operators hear and measure, with the real programs that they use: Alertmanager, Prometheus
//! with its promtool, HAProxy, and receivers that fail.

mod alertmanager;
mod bodies;
mod hanging;
mod haproxy;
mod measured;
mod receiver;
mod tools;
mod webhooks;
