//! Table tests of the fleet's judgement of a master.
