-- +goose Up
-- The nightly sweep asks of every file in the store whether a row names it.
CREATE INDEX attachment_blob ON attachment (blob) WHERE blob <> '';
CREATE INDEX attachment_preview ON attachment (preview) WHERE preview <> '';
