"""Guards of the command and of the Swift library."""

from edits import always, instead, never, remove, replace, rewrite
from guard import Guard, unit, wire

GUARDS = [
    # Settings.
    Guard(
        None,
        "a boolean setting has one of the known spellings",
        "boolean-spellings",
        rewrite(
            "guard let isOn = @1 else { @2 }",
            "guard let isOn = @1 ?? (source.isEmpty ? nil : true) else { @2 }",
        ),
        (wire("test_settings.py", "a_boolean_setting_refuses_any_other_value"),),
    ),
    Guard(
        None,
        "a service link of Kubernetes is explained",
        "service-link-explained",
        never(3),
        (wire("test_settings.py", "a_service_link_of_kubernetes"),),
    ),
    Guard(
        None,
        "a data directory may be a symbolic link",
        "data-through-symbolic-link",
        rewrite("let directory = try Self.resolve(@1)", "let directory = @1"),
        (wire("test_lifecycle.py", "may_be_a_symbolic_link"),),
    ),
    # Publishing from standard input.
    Guard(
        None,
        "lines are published as they come",
        "lines-sent-as-they-come",
        replace("|| !Terminal.hasInput", ""),
        (wire("test_publish_input.py", "while_the_input_is_open"),),
    ),
    Guard(
        None,
        "a blank line is reported",
        "blank-lines-reported",
        rewrite("guard @1 else { return @2 }", "guard @1 else { return }"),
        (wire("test_publish_input.py", "blank_lines_are_reported"),),
    ),
    Guard(
        None,
        "a terminal is informed that input is awaited",
        "awaited-input-announced",
        never(),
        (wire("test_publish_input.py", "input_is_awaited"),),
    ),
    Guard(
        None,
        "each answer has the number of its line",
        "answers-have-line-numbers",
        replace('#"{"line":\\#($0.number),"#', '#"{"line":1,"#'),
        (wire("test_publish_input.py", "has_its_number"),),
    ),
    Guard(
        None,
        "a batch over a bound of the server is sent in parts",
        "batch-over-bound-parted",
        never(1),
        (wire("test_publish_input.py", "over_a_bound_of_the_server"),),
    ),
    Guard(
        None,
        "the fields of a notification have flags",
        "flags-of-a-notification",
        replace('("priority", "priority"),', ""),
        (wire("test_publish_input.py", "every_field_of_a_notification_has_a_flag"),),
    ),
    # Messages.
    Guard(
        None,
        "a failed system call is reported by its text",
        "errno-as-text",
        rewrite(
            'guard @1 else { return "errno \\(code)" }',
            'guard @1, text.isEmpty else { return "errno \\(code)" }',
        ),
        (wire("test_lifecycle.py", "a_port_in_use_is_reported_plainly"),),
    ),
    Guard(
        None,
        "a line of the log begins with its time",
        "log-line-has-time",
        remove(),
        (unit("ConnectionLogTests/format"),),
    ),
    # The development server.
    Guard(
        None,
        "a development server prints its random secret for the other commands",
        "random-secret-printed",
        never(),
        (wire("test_development.py", "token_works_without_further_settings"),),
    ),
    Guard(
        51,
        "a development server does not print the secret of its user",
        "own-secret-not-printed",
        always(),
        (wire("test_development.py", "a_secret_of_its_user_is_not_printed"),),
    ),
    Guard(
        None,
        "a development server prints its address for the other commands",
        "server-address-printed",
        replace('("CARILLON_URL", address),', ""),
        (wire("test_development.py", "the_printed_variables_name_the_server"),),
    ),
    # The habits of commands.
    Guard(
        None,
        "a strict check fails if something is too low",
        "strict-check-fails",
        instead("return 0"),
        (wire("test_settings.py", "a_strict_check_fails"),),
    ),
    Guard(
        None,
        "the JSON of a check has booleans",
        "json-of-check-has-values",
        replace(".flag(isOn)", '.text(isOn ? "on" : "off")'),
        (wire("test_settings.py", "the_json_of_a_check_has_values"),),
    ),
    Guard(
        None,
        "a mistyped command gets the nearest one",
        "nearest-command-named",
        rewrite("let near = @1", "let near: String? = nil"),
        (wire("test_help.py", "a_mistyped_word_gets_the_nearest_one"),),
    ),
    Guard(
        None,
        "-V prints the version",
        "short-version-flag",
        replace(', "-V"', ""),
        (wire("test_help.py", "a_flag_prints_the_version"),),
    ),
    Guard(
        None,
        "help with the name of a command prints the command's help",
        "help-of-command",
        replace("rest.dropFirst()", "[]", block=True),
        (wire("test_help.py", "help_of_a_command_is_the_same"),),
    ),
    Guard(
        None,
        "a command that cannot print fails",
        "lost-output-is-an-error",
        remove(),
        (wire("test_command.py", "a_command_that_cannot_print_fails"),),
    ),
    Guard(
        None,
        "a listener to a stream continues with its cursor",
        "listener-keeps-cursor",
        never(2),
        (wire("test_command.py", "an_event_stream_continues_where_it_ended"),),
    ),
    Guard(
        None,
        "an interrupted load test prints its report",
        "interrupted-bench-reports",
        remove(),
        (wire("test_command.py", "an_interrupted_bench_prints"),),
    ),
    Guard(
        None,
        "the log begins with version, data and address",
        "log-begins-with-address",
        remove(),
        (wire("test_lifecycle.py", "the_log_begins_with_version"),),
    ),
    Guard(
        None,
        "a check works without a secret and names it",
        "check-without-secret",
        always(),
        (wire("test_settings.py", "a_check_works_without_a_secret"),),
    ),
    # The library.
    Guard(
        None,
        "a program that reads too slowly learns how many events it missed",
        "missed-events-counted",
        replace("{ false }", "{ true }", block=True),
        (unit("EventTests/missing"),),
    ),
    Guard(
        None,
        "a bus refuses a short secret",
        "short-secret-refused",
        always(),
        (unit("BusConfigurationTests/shortSecrets"),),
    ),
]
