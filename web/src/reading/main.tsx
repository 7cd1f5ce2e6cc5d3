import { Shell, startPage } from '../core/shell';
import { t } from '../core/i18n';

function Page() {
  return <Shell page="reading" title={t('core.page.reading')}>{null}</Shell>;
}

void startPage(Page);
