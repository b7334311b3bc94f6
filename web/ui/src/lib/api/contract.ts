/**
 * Holds the table of routes against the description that the server prints (`npm run generate`): an operation that we
 * call and the server does not have is an error of the type check. Nothing of this is in the bundle.
 */
import type { Routes } from './routes'
import type { paths } from './schema'

/** A path without the names of its parameters, which are nobody's business but the server's. */
type Bare<P extends string> = P extends `${infer A}{${string}}${infer B}` ? `${A}{}${Bare<B>}` : P
type Method = 'get' | 'put' | 'post' | 'patch' | 'delete'
type Operations<T> = {
  [P in keyof T & string]: {
    [M in keyof T[P] & Method]: T[P][M] extends undefined ? never : `${M} ${Bare<P>}`
  }[keyof T[P] & Method]
}[keyof T & string]

type Unknown = Exclude<NonNullable<Operations<Routes>>, Operations<paths>>
export type EveryRouteIsServed<U extends never = Unknown> = U
