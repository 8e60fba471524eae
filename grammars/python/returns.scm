; Where a function hands back values.

(return_statement) @return
(yield) @yield
