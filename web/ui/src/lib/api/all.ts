import type { List } from './types'

/** Reads a short list whole: people, teams, channels. */
export async function all<T>(
  page: (query: { limit: number; cursor?: string }) => Promise<List<T>>,
): Promise<T[]> {
  const rows: T[] = []
  let cursor: string | undefined
  do {
    const { items, next_cursor } = await page({ limit: 200, cursor })
    rows.push(...items)
    cursor = next_cursor ?? undefined
  } while (cursor)
  return rows
}
