//! Tools that do not keep to one line, outputs that are full or closed, and users in a hurry.

use super::*;

fn a_tool_that_writes_two_lines_for_one_gives_no_wrong_answer() {
    let (place, folder) = (Place::new(), folder());
    let flow = scripted(folder.path(), "a\nb\nc\nd\n", "stream", "exec sed -u p");
    let ended = run_text(&place, folder.path(), &flow, &["agents.tool.count=1".to_owned()]);
    assert_eq!((ended.code(), ended.stdout.as_str()), (1, ""), "{}", ended.stderr);
    assert!(ended.stderr.contains("nobody asked for"), "{}", ended.stderr);
    assert!(ended.stderr.contains("CL-0658") && ended.stderr.contains("4 failed"));
    place.assert_empty();
}
