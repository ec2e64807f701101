use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};

/// Keeps key material out of core dumps and from other processes of the same
/// user, before any of it is in memory.
///
/// Best effort: where the system refuses, keys still work, and an operator
/// who needs this certain sets the limit for the whole service.
pub(super) fn no_dumps() {
    let hard = getrlimit(Resource::Core).maximum;
    let none = Rlimit {
        current: Some(0),
        maximum: hard,
    };
    let _best_effort = setrlimit(Resource::Core, none);
    let _best_effort = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}
