//! What can ail a data server that lives: it answers, but not as it should. The texts are Redis'.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Illness {
    None,
    /// It reads its data set from disk.
    Loading,
    /// A script runs beyond its time: only SCRIPT KILL and SHUTDOWN NOSAVE are heard.
    Busy,
    /// The same, and the script has written: only SHUTDOWN NOSAVE would end it.
    BusyWriting,
    /// The last snapshot could not be written: writes, and PING, are refused.
    CannotPersist,
    /// The machine has no descriptor left for one more connection; those that are open go on.
    NoDescriptors,
}

impl Illness {
    pub fn named(name: &str) -> Self {
        match name {
            "none" => Illness::None,
            "loading" => Illness::Loading,
            "busy" => Illness::Busy,
            "busy-writing" => Illness::BusyWriting,
            "misconf" => Illness::CannotPersist,
            "no-descriptors" => Illness::NoDescriptors,
            other => panic!("unknown illness {other}"),
        }
    }

    pub fn takes_writes(self) -> bool {
        matches!(self, Illness::None | Illness::NoDescriptors)
    }

    /// Nothing else is done meanwhile, not even for its replicas.
    pub fn blocks(self) -> bool {
        matches!(self, Illness::Loading | Illness::Busy | Illness::BusyWriting)
    }

    /// The error that this command gets, if it gets one.
    pub fn refusal(self, command: &str) -> Option<&'static str> {
        match self {
            Illness::None | Illness::NoDescriptors => None,
            Illness::Loading => (command != "INFO").then_some("LOADING Redis is loading the dataset in memory"),
            Illness::Busy if command == "SCRIPT" => None,
            Illness::BusyWriting if command == "SCRIPT" => Some(
                "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either \
                 wait the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.",
            ),
            Illness::Busy | Illness::BusyWriting => Some(
                "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
            ),
            Illness::CannotPersist => (command == "PING").then_some(
                "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
            ),
        }
    }
}
