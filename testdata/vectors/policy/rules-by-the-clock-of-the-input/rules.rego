package obreia

default allow := false

allow if time.now_ns() == 1000000000000000000
