//! Scripts and hooks between the core and their runner. What the runner has to say reaches the core in the
//! loop's next turn, never in the middle of carrying actions out.

use super::{Fatal, Shell};
use crate::daemon::clock;
use crate::daemon::errand_runner::{News, Report};
use crate::model::event::Event;
use crate::sentinel::Input;
use crate::sentinel::errands::{Input as Errand, Pace};
use crate::stdx::time::{Duration, Now};

impl Shell {
    fn pace(&self) -> Pace {
        let fleet = &self.core.ledger().fleet;
        Pace {
            script_max_runtime: Duration::from_millis(fleet.script_max_runtime_ms),
            script_retry_delay: Duration::from_millis(fleet.script_retry_delay_ms),
        }
    }

    fn errand(&mut self, now: Now, input: Errand) {
        let pace = self.pace();
        let reports = self.errands.handle(now.mono, pace, input);
        self.errand_reports.extend(reports);
    }

    pub(super) fn run_errands(&mut self, event: &Event) {
        let errands = self.core.errands(event);
        self.errand(clock::now(), Errand::Event { event: event.clone(), errands });
    }

    pub(super) fn own_errands(&mut self, now: Now, from: Option<u64>) {
        self.errand(now, from.map_or(Errand::Disown, |from| Errand::Own { from }));
    }

    pub(super) fn errand_news(&mut self, news: News) -> Result<(), Fatal> {
        let now = clock::now();
        self.cache.forget();
        match news {
            News::Started { job, pid } => self.errand(now, Errand::Started { job, pid }),
            News::Ended { job, ending } => self.errand(now, Errand::Ended { job, ending }),
            News::Answered { group, epoch, verdict } => {
                self.input(now, Input::HookAnswered { group, epoch, verdict })?;
            }
        }
        Ok(())
    }

    /// Retries that are due, and what is to be told.
    pub(super) fn tend_errands(&mut self, now: Now) -> Result<(), Fatal> {
        if self.errands.next_wakeup().is_some_and(|at| at <= now.mono) {
            self.errand(now, Errand::Tick);
        }
        for report in std::mem::take(&mut self.errand_reports) {
            let input = match report {
                Report::Progress { up_to } => Input::ErrandsProgress { up_to },
                Report::Told { kind, payload } => Input::ErrandTold { kind, payload },
            };
            self.input(now, input)?;
        }
        Ok(())
    }
}
