; The units that Uncrib compares: functions (methods are functions inside a class) and classes.
; What is left outside of them is the module-level unit.

(function_definition
  name: (identifier) @name) @definition.function

(class_definition
  name: (identifier) @name) @definition.class
