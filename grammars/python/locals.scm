; Scopes, and the places where a name is bound in them (the capture names of the tree-sitter ecosystem).

(module) @local.scope
(function_definition) @local.scope
(class_definition) @local.scope
(lambda) @local.scope
(list_comprehension) @local.scope
(set_comprehension) @local.scope
(dictionary_comprehension) @local.scope
(generator_expression) @local.scope

; variables
(assignment left: (identifier) @local.definition.var)
(augmented_assignment left: (identifier) @local.definition.var)
(named_expression name: (identifier) @local.definition.walrus)
(for_statement left: (identifier) @local.definition.var)
(for_in_clause left: (identifier) @local.definition.var)
(pattern_list (identifier) @local.definition.var)
(tuple_pattern (identifier) @local.definition.var)
(list_pattern (identifier) @local.definition.var)
(list_splat_pattern (identifier) @local.definition.var)
(as_pattern_target (identifier) @local.definition.var)
(as_pattern (case_pattern) (identifier) @local.definition.var)
(case_pattern (dotted_name . (identifier) @local.definition.var .))
(splat_pattern (identifier) @local.definition.var)
(delete_statement (identifier) @local.definition.var)

; parameters
(parameters (identifier) @local.definition.parameter)
(parameters (typed_parameter . (identifier) @local.definition.parameter))
(parameters (default_parameter name: (identifier) @local.definition.parameter))
(parameters (typed_default_parameter name: (identifier) @local.definition.parameter))
(dictionary_splat_pattern (identifier) @local.definition.parameter)
(lambda_parameters (identifier) @local.definition.parameter)
(lambda_parameters (default_parameter name: (identifier) @local.definition.parameter))

; functions and classes bind their name in the scope around them
(function_definition name: (identifier) @local.definition.function)
(class_definition name: (identifier) @local.definition.type)

; attributes of the receiver (first parameter of a method)
(assignment left: (attribute object: (identifier) @receiver attribute: (identifier) @local.definition.field))
(pattern_list (attribute object: (identifier) @receiver attribute: (identifier) @local.definition.field))
(tuple_pattern (attribute object: (identifier) @receiver attribute: (identifier) @local.definition.field))

; imports
(import_statement) @local.definition.import
(import_from_statement) @local.definition.import

; names that belong to an outer scope
(global_statement (identifier) @local.outer.global)
(nonlocal_statement (identifier) @local.outer.nonlocal)

; functions that a class takes as methods, and what is handed to functions
(class_definition body: (block
  (expression_statement (assignment left: (identifier) @local.reference.alias right: (identifier) @local.reference.method))))
(call function: (identifier) arguments: (argument_list (identifier) @local.reference.handed))

; what is asked of a name, and what is called
(attribute object: (identifier) @local.reference.object attribute: (identifier) @local.reference.member)
(call function: (identifier) @local.reference.call)
(call function: (attribute attribute: (identifier) @local.reference.call))

; where a function hands back values
(return_statement) @local.return
(yield) @local.yield

; what stands between the parts of a node and is none
(comment) @extra
(line_continuation) @extra
(ERROR) @extra
