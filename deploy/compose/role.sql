-- A role of its own, which row-level security binds: a superuser passes through that wall.
CREATE ROLE forgecroft LOGIN;
CREATE DATABASE forgecroft OWNER forgecroft;
