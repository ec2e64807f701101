package obreia

allow := true

allow := false if input.stage
