import { ApiError } from '$lib/api/errors'
import { t } from '$lib/i18n/index.svelte'

/** A wrong code is a complaint about its field, not the end of a session. */
export function codeError(err: ApiError): ApiError {
  return new ApiError({
    ...err.problem,
    status: 422,
    code: 'totp_wrong',
    errors: [{ location: 'body.totp', message: t('auth.code.wrong') }],
  })
}
