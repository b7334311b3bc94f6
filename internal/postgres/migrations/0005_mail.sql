-- +goose Up
-- mail: parts that the HTML shows in place are named by their Content-ID
ALTER TABLE attachment ADD COLUMN content_id text NOT NULL DEFAULT '';
