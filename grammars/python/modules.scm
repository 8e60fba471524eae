; Classes, and the statements that say what modules they hold (detector.evidence.checkpoints.modules).

(class_definition) @class

(assignment) @assignment

((call function: (attribute object: (identifier) @_self attribute: (identifier) @_name)) @registered
  (#eq? @_self "self")
  (#any-of? @_name "register_buffer" "register_parameter" "add_module"))

(return_statement) @returned
