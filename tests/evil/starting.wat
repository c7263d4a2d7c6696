;; Loops for ever before it is there.
(component
  (core module $m
    (func $start (loop $l (br $l)))
    (start $start)
    (func (export "never")))
  (core instance $i (instantiate $m))
  (func (export "never") (canon lift (core func $i "never"))))
