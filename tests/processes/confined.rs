//! Machines that withhold something: shared memory with a name, calls that a seccomp profile
//! forbids, descriptors, room on the disk. It works without, or says what is missing.

use corelane_testkit::process::{Call, Ended, Output, Place, forbidding};

use crate::{report::Report, start};

const SHORT: &str = "demo --json --load-seconds 0.1";

/// Runs a line of the shell in which `$0` is the binary.
fn shell(place: &Place, program: &[&str], line: &str) -> Ended {
    let mut command = place.command(program[0]);
    command.args(&program[1..]).args(["sh", "-c", line, env!("CARGO_BIN_EXE_corelane")]);
    place.start(command, Output::Pipes).wait()
}

/// Whether this machine lets a user mount something in a namespace of its own.
fn can_mount(place: &Place) -> bool {
    let tried = shell(place, &UNSHARE, "mount -t tmpfs none /dev/shm");
    if tried.code() != 0 {
        println!("skipped: no namespace of one's own to mount in: {}", tried.stderr.trim());
    }
    tried.code() == 0
}

const UNSHARE: [&str; 2] = ["unshare", "-rm"];

#[test]
fn a_full_and_a_read_only_dev_shm_do_not_matter() {
    let place = Place::new();
    if !can_mount(&place) {
        return;
    }
    // Lanes are memory files without a name: nothing is ever asked of /dev/shm.
    for options in ["ro", "size=4k,nr_inodes=1"] {
        let line = format!("mount -t tmpfs -o {options} none /dev/shm && exec \"$0\" {SHORT}");
        Report::of(&shell(&place, &UNSHARE, &line)).assert_held();
    }
    place.assert_empty();
}

#[test]
fn a_machine_without_dev_shm_does_not_matter() {
    let place = Place::new();
    if !can_mount(&place) {
        return;
    }
    // A /dev of its own with three devices and nothing else.
    let line = format!(
        "mount -t tmpfs none /mnt && for name in null zero urandom; do \
         touch /mnt/$name && mount --bind /dev/$name /mnt/$name || exit 9; done && \
         mount --rbind /mnt /dev && test ! -e /dev/shm && exec \"$0\" {SHORT}"
    );
    Report::of(&shell(&place, &UNSHARE, &line)).assert_held();
    place.assert_empty();
}

#[test]
fn a_disk_without_room_for_the_socket_is_an_error_that_names_it() {
    let place = Place::new();
    if !can_mount(&place) {
        return;
    }
    // The root and the folder take the two inodes that there are.
    let line =
        format!("mount -t tmpfs -o nr_inodes=2 none \"$XDG_RUNTIME_DIR\" && exec \"$0\" {SHORT}");
    let ended = shell(&place, &UNSHARE, &line);
    assert_eq!((ended.code(), ended.stdout.as_str()), (1, ""), "{}", ended.stderr);
    for part in ["corelane: ", "bind", "demo-", "No space left on device"] {
        assert!(ended.stderr.contains(part), "no {part:?} in\n{}", ended.stderr);
    }
    place.assert_empty();
}

#[test]
fn a_folder_that_cannot_be_written_to_is_an_error_with_its_remedy() {
    let place = Place::new();
    // Nobody can make a folder there, not even root.
    let line = format!("XDG_RUNTIME_DIR=/proc/self exec \"$0\" {SHORT}");
    let ended = shell(&place, &["env"], &line);
    assert_eq!((ended.code(), ended.stdout.as_str()), (1, ""), "{}", ended.stderr);
    for part in ["folder for the socket cannot be made: /proc/self", "XDG_RUNTIME_DIR"] {
        assert!(ended.stderr.contains(part), "no {part:?} in\n{}", ended.stderr);
    }
    place.assert_empty();
}

/// Runs a short demo where a call is forbidden; `None` where that cannot be.
fn run_without(place: &Place, call: Call) -> Option<Ended> {
    let ended = forbidding(call, || start(place, SHORT).wait());
    if let Err(reason) = &ended {
        println!("skipped: no seccomp filter can be set here: {reason}");
    }
    ended.ok()
}

#[test]
fn a_profile_that_forbids_memory_files_is_named_with_its_remedy() {
    let place = Place::new();
    let Some(ended) = run_without(&place, Call::MemfdCreate) else { return };
    assert_eq!((ended.code(), ended.stdout.as_str()), (1, ""), "{}", ended.stderr);
    for part in ["memfd_create is not allowed here", "seccomp profile", "Operation not permitted"] {
        assert!(ended.stderr.contains(part), "no {part:?} in\n{}", ended.stderr);
    }
    place.assert_empty();
}

#[test]
fn a_profile_that_forbids_sleeping_on_many_words_is_worked_around() {
    let place = Place::new();
    let Some(ended) = run_without(&place, Call::FutexWaitv) else { return };
    Report::of(&ended).assert_held();
    place.assert_empty();
}

#[test]
fn sixty_four_descriptors_are_enough() {
    let place = Place::new();
    let many = "--workers 4 --agents 40 --routers 2";
    for options in ["", many] {
        let line = format!("ulimit -n 64; exec \"$0\" {SHORT} {options}");
        Report::of(&shell(&place, &["env"], &line)).assert_held();
    }
    place.assert_empty();
}
