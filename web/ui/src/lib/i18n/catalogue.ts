/** The keys of the catalogues as types: t('common.save') compiles only while en has it. */
import type auth from './en/auth.json'
import type common from './en/common.json'
import type crm from './en/crm.json'
import type form from './en/form.json'
import type inbox from './en/inbox.json'
import type settings from './en/settings.json'

export const areas = ['common', 'auth', 'settings', 'inbox', 'crm', 'form'] as const
export type Area = (typeof areas)[number]

interface Catalogue {
  common: typeof common
  auth: typeof auth
  settings: typeof settings
  inbox: typeof inbox
  crm: typeof crm
  form: typeof form
}

type PluralSuffix = '_zero' | '_one' | '_two' | '_few' | '_many' | '_other'
type Bare<K extends string> = K extends `${infer B}${PluralSuffix}` ? B : K
type Leaves<T> = {
  [K in keyof T & string]: T[K] extends string ? Bare<K> : `${K}.${Leaves<T[K]>}`
}[keyof T & string]

export type Key = { [A in Area]: `${A}.${Leaves<Catalogue[A]>}` }[Area]
